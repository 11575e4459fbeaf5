// Fetches the page every few seconds and updates its main part in place. Only nodes that differ are
// changed, so that open details, the focus, scroll positions and the reader's place on the screen
// are kept. While text is selected nothing changes. A change of the filter updates the page at once.
"use strict";

const INTERVAL_MS = 5000;
const TIMEOUT_MS = 10000;
const MAX_MESSAGE_CHARS = 200;
const statusLine = document.getElementById("updates");
const content = document.getElementById("content");
let lastUpdate = new Date();

function isSelecting() {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed;
}

// An open failure is kept as it is, even if the daemon has discarded its response meanwhile.
function isBeingRead(node) {
  return node.open && node.id.startsWith("failure-");
}

// Returns the child of `parent` that can become `wanted`: the one with the same id, or else the
// next one at `start` or after it, without skipping a node that has an id.
function findCounterpart(parent, start, wanted) {
  if (wanted.id) {
    const node = document.getElementById(wanted.id);
    return node?.parentNode === parent && node.nodeName === wanted.nodeName ? node : null;
  }
  for (let node = start; node && !node.id; node = node.nextSibling) {
    if (node.nodeName === wanted.nodeName) return node;
    if (!wanted.tagName) break;
  }
  return null;
}

// Removes nodes from `start` on, up to `end` or to a node that is needed later. Returns that node.
function removeUntil(start, end, neededIds) {
  let node = start;
  while (node !== end && !(node.id && neededIds.has(node.id))) {
    const next = node.nextSibling;
    if (!isBeingRead(node)) node.remove();
    node = next;
  }
  return node;
}

function updateAttributes(old, wanted) {
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) old.setAttribute(name, value);
}

function updateChildren(old, wanted) {
  const neededIds = new Set([...wanted.children].map((child) => child.id).filter(Boolean));
  let next = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    const counterpart = findCounterpart(old, next, child);
    if (counterpart) {
      next = removeUntil(next, counterpart, neededIds);
      if (next === counterpart) next = counterpart.nextSibling;
      else old.insertBefore(counterpart, next); // the order has changed
      updateNode(counterpart, child);
    } else old.insertBefore(child, next);
  }
  removeUntil(next, null, new Set());
}

function updateNode(old, wanted) {
  if ("open" in old) wanted.open = old.open;
  if (isBeingRead(old) || old.isEqualNode(wanted)) return;
  if (!old.tagName) old.data = wanted.data;
  else {
    updateAttributes(old, wanted);
    updateChildren(old, wanted);
  }
}

// Returns the element whose position on the screen must not change: the focused one, an open
// failure or, further down the page, the topmost one.
function findAnchor() {
  const open = content.querySelectorAll("details[open][id^=failure]");
  const visible = scrollY > 0 ? content.querySelectorAll("[id]:not(.group)") : [];
  return [document.activeElement, ...open, ...visible].find((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return element !== content && content.contains(element) && bottom > 0 && top < innerHeight;
  });
}

function show(main) {
  const focused = document.activeElement;
  const anchor = findAnchor();
  const top = anchor?.getBoundingClientRect().top;
  updateNode(content, main);
  // A node that moves loses the focus.
  if (focused !== document.activeElement && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
  if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - top);
}

// A response that is not the page: an error of the daemon, or the page of a proxy.
class UnexpectedResponse extends Error {}

async function errorMessage(response) {
  const isText = response.headers.get("content-type")?.startsWith("text/plain");
  const text = isText ? (await response.text()).trim() : "";
  return text ? text.slice(0, MAX_MESSAGE_CHARS) : `status ${response.status}`;
}

// Puts the values of the filter into the URL, which the next update fetches.
function applyFilter(form) {
  const values = [...new FormData(form)].filter(([, value]) => value);
  const query = new URLSearchParams(values).toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
  update();
}

// The timeout reveals a daemon that hangs; the check for `main` a proxy that wants a login.
async function fetchMain() {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const url = location.pathname + location.search;
  const response = await fetch(url, { cache: "no-store", signal });
  const prefix = `Not updated since ${formatUtc(lastUpdate)}:`;
  if (!response.ok) throw new UnexpectedResponse(`${prefix} ${await errorMessage(response)}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = page.querySelector("main#content");
  if (!main) throw new UnexpectedResponse(`${prefix} the response is another page.`);
  addLocalTimes(main);
  return main;
}

function formatUtc(date) {
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

// Adds the local time to all times in `root`, unless the local time is UTC.
function addLocalTimes(root) {
  for (const element of root.querySelectorAll("time:not([data-local])")) {
    const date = new Date(element.dateTime);
    if (date.getTimezoneOffset() === 0) continue;
    const isSameDay = date.getDate() === date.getUTCDate();
    const options = { timeStyle: "medium", ...(isSameDay ? {} : { dateStyle: "short" }) };
    element.dataset.local = "";
    element.append(` (${date.toLocaleString(undefined, options)} local)`);
  }
}

function showStatus(message, { alarm }) {
  statusLine.textContent = message;
  statusLine.classList.toggle("alarm", alarm);
}

async function update() {
  if (document.hidden) return;
  try {
    const query = location.search;
    const main = await fetchMain();
    if (query !== location.search) return; // the filter has changed meanwhile
    if (isSelecting()) return showStatus("Not updated while text is selected.", { alarm: false });
    show(main);
    lastUpdate = new Date();
    showStatus("", { alarm: false });
  } catch (error) {
    const message = error instanceof UnexpectedResponse && error.message;
    showStatus(message || `No response from the daemon since ${formatUtc(lastUpdate)}.`, {
      alarm: true,
    });
  }
}

async function updateForever() {
  await update();
  setTimeout(updateForever, INTERVAL_MS);
}

addLocalTimes(content);
setTimeout(updateForever, INTERVAL_MS);
document.addEventListener("visibilitychange", update);
content.addEventListener("input", ({ target }) => target.form && applyFilter(target.form));
content.addEventListener("submit", (event) => {
  event.preventDefault();
  applyFilter(event.target);
});
