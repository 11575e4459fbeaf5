// Fetches the page anew every few seconds and puts its main part in the place of the old one.
// Who reads is not disturbed: what is open stays open, the focus stays, selected text is left alone.
"use strict";

const PAUSE = 5000;
const PATIENCE = 10000;
const said = document.getElementById("updates");
let since = new Date();

function selecting() {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed;
}

function key(element) {
  return element.id || element.closest("details")?.id || element.getAttribute("href");
}

function place(main, wanted) {
  const all = main.querySelectorAll("a, summary, pre");
  return [...all].find((element) => key(element) === wanted);
}

function put(main) {
  const old = document.getElementById("content");
  const focused = old.contains(document.activeElement) && key(document.activeElement);
  for (const before of old.querySelectorAll("details")) {
    const now = main.querySelector("#" + CSS.escape(before.id));
    if (now) now.open = before.open;
  }
  old.replaceWith(main);
  if (focused) place(main, focused)?.focus({ preventScroll: true });
}

// A daemon that hangs must not look well, nor may the login page of a proxy take the page's place.
async function news() {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(location.pathname, { cache: "no-store", signal });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = page.querySelector("main#content");
  if (!answer.ok || !main) throw new Error(`status ${answer.status}`);
  return main;
}

async function update() {
  if (document.hidden || selecting()) return;
  try {
    put(await news());
    since = new Date();
    said.textContent = "";
  } catch {
    said.textContent = `No answer from the daemon since ${since.toLocaleTimeString()}.`;
  }
}

async function forever() {
  await update();
  setTimeout(forever, PAUSE);
}

setTimeout(forever, PAUSE);
document.addEventListener("visibilitychange", update);
