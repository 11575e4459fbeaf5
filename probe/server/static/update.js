// Fetches the page anew every few seconds and changes of its main part what is not as it was.
// Who reads is not disturbed: what is open, focused or scrolled stays so, and stays where it is on
// the screen, because no element is replaced by its like. While text is selected nothing changes.
"use strict";

const PAUSE = 5000;
const PATIENCE = 10000;
const LONGEST = 200;
const said = document.getElementById("updates");
const shown = document.getElementById("content");
let since = new Date();

function selecting() {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed;
}

// An open failure stays as it is, though the daemon forgets its answer after some newer ones.
function beingRead(node) {
  return node.open && node.id.startsWith("failure-");
}

// What is to become `wanted`, at the place `at` or further on. The search does not pass what has an
// id for the sake of what has none.
function counterpart(at, wanted) {
  for (let one = at; one; one = one.nextSibling) {
    if (one.nodeName === wanted.nodeName && one.id === wanted.id) return one;
    if (!wanted.id && (one.id || !wanted.tagName)) return null;
  }
  return null;
}

function remove(from, end) {
  for (let one = from, next; one !== end; one = next) {
    next = one.nextSibling;
    if (!beingRead(one)) one.remove();
  }
}

function renewAttributes(old, wanted) {
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) old.setAttribute(name, value);
}

function renewChildren(old, wanted) {
  let at = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    const before = counterpart(at, child);
    if (before) {
      remove(at, before);
      renew(before, child);
      at = before.nextSibling;
    } else old.insertBefore(child, at);
  }
  remove(at, null);
}

function renew(old, wanted) {
  if ("open" in old) wanted.open = old.open;
  if (beingRead(old) || old.isEqualNode(wanted)) return;
  if (!old.tagName) old.data = wanted.data;
  else {
    renewAttributes(old, wanted);
    renewChildren(old, wanted);
  }
}

// What one looks at: the focus, what one has opened, or, further down the page, the topmost thing.
function lookedAt() {
  const open = shown.querySelectorAll("details[open][id^=failure]");
  const things = scrollY > 0 ? shown.querySelectorAll("[id]") : [];
  return [document.activeElement, ...open, ...things].find((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return one !== shown && shown.contains(one) && bottom > 0 && top < innerHeight;
  });
}

function put(main) {
  const anchor = lookedAt();
  const top = anchor?.getBoundingClientRect().top;
  renew(shown, main);
  if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - top);
}

// An answer that is not the page: what the daemon says in its place, or something between.
class Refusal extends Error {}

async function words(answer) {
  const plain = answer.headers.get("content-type")?.startsWith("text/plain");
  const text = plain ? (await answer.text()).trim() : "";
  return text ? text.slice(0, LONGEST) : `status ${answer.status}`;
}

// A daemon that hangs must not look well, nor may the login page of a proxy take the page's place.
async function news() {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(location.pathname, { cache: "no-store", signal });
  if (!answer.ok) throw new Refusal(`Not updated since ${utc(since)}: ${await words(answer)}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = page.querySelector("main#content");
  if (!main) throw new Refusal(`Not updated since ${utc(since)}: what came is another page.`);
  return main;
}

function utc(date) {
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function tell(words, { alarm }) {
  said.textContent = words;
  said.classList.toggle("alarm", alarm);
}

async function update() {
  if (document.hidden) return;
  try {
    const main = await news();
    if (selecting()) return tell("Not updated while text is selected.", { alarm: false });
    put(main);
    since = new Date();
    tell("", { alarm: false });
  } catch (error) {
    const refused = error instanceof Refusal && error.message;
    tell(refused || `No answer from the daemon since ${utc(since)}.`, { alarm: true });
  }
}

async function forever() {
  await update();
  setTimeout(forever, PAUSE);
}

setTimeout(forever, PAUSE);
document.addEventListener("visibilitychange", update);
