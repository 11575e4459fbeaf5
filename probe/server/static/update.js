// Fetches the page every few seconds and updates its main part in place. Only nodes that differ are
// changed, so that open details, the focus, scroll positions and the reader's place on the screen
// are kept. While text is selected nothing changes.
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

// Returns the node at `start` or after it that can become `wanted`. Nodes without an id must not
// make the search skip a node with an id.
function findCounterpart(start, wanted) {
  for (let node = start; node; node = node.nextSibling) {
    if (node.nodeName === wanted.nodeName && node.id === wanted.id) return node;
    if (!wanted.id && (node.id || !wanted.tagName)) return null;
  }
  return null;
}

function removeUntil(start, end) {
  for (let node = start, next; node !== end; node = next) {
    next = node.nextSibling;
    if (!isBeingRead(node)) node.remove();
  }
}

function updateAttributes(old, wanted) {
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) old.setAttribute(name, value);
}

function updateChildren(old, wanted) {
  let next = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    const counterpart = findCounterpart(next, child);
    if (counterpart) {
      removeUntil(next, counterpart);
      updateNode(counterpart, child);
      next = counterpart.nextSibling;
    } else old.insertBefore(child, next);
  }
  removeUntil(next, null);
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
  const visible = scrollY > 0 ? content.querySelectorAll("[id]") : [];
  return [document.activeElement, ...open, ...visible].find((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return element !== content && content.contains(element) && bottom > 0 && top < innerHeight;
  });
}

function show(main) {
  const anchor = findAnchor();
  const top = anchor?.getBoundingClientRect().top;
  updateNode(content, main);
  if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - top);
}

// A response that is not the page: an error of the daemon, or the page of a proxy.
class UnexpectedResponse extends Error {}

async function errorMessage(response) {
  const isText = response.headers.get("content-type")?.startsWith("text/plain");
  const text = isText ? (await response.text()).trim() : "";
  return text ? text.slice(0, MAX_MESSAGE_CHARS) : `status ${response.status}`;
}

// The timeout reveals a daemon that hangs; the check for `main` a proxy that wants a login.
async function fetchMain() {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(location.pathname, { cache: "no-store", signal });
  const prefix = `Not updated since ${formatUtc(lastUpdate)}:`;
  if (!response.ok) throw new UnexpectedResponse(`${prefix} ${await errorMessage(response)}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = page.querySelector("main#content");
  if (!main) throw new UnexpectedResponse(`${prefix} the response is another page.`);
  return main;
}

function formatUtc(date) {
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function showStatus(message, { alarm }) {
  statusLine.textContent = message;
  statusLine.classList.toggle("alarm", alarm);
}

async function update() {
  if (document.hidden) return;
  try {
    const main = await fetchMain();
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

setTimeout(updateForever, INTERVAL_MS);
document.addEventListener("visibilitychange", update);
