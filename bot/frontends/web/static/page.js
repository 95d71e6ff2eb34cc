// Makes the page live. Everything works without it: forms are sent, pages are loaded.
"use strict";

const lines = document.getElementById("lines");
const composer = document.getElementById("composer");
const news = document.getElementById("status");

// Times are sent in UTC and shown in the reader's own time zone.
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const whole = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const only = time.className;
    time.textContent = only === "clock" ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
      : only === "day" ? at.toLocaleDateString([], { dateStyle: "medium" }) : whole;
    time.title = whole;
  }
}

// The server escapes everything in the pieces it sends; they replace what stands under the same id.
function show(id, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  localise(template.content);
  const old = document.getElementById(`line-${id}`);
  if (old) old.replaceWith(template.content);
  else lines.append(template.content);
  document.getElementById("empty")?.remove();
}

function listen() {
  const stream = new EventSource(`${lines.dataset.events}?since=${lines.dataset.revision}`);
  stream.addEventListener("open", () => { news.textContent = ""; });
  stream.addEventListener("error", () => {
    news.textContent = stream.readyState === EventSource.CLOSED
      ? "The connection is lost. Reload the page." : "The connection is lost, trying again…";
  });
  stream.addEventListener("line", (event) => {
    const { id, html } = JSON.parse(event.data);
    show(id, html);
  });
  stream.addEventListener("restarted", () => {
    for (const text of lines.querySelectorAll(".thinking .text")) {
      text.textContent = "The service restarted before this was answered. Send it again.";
    }
  });
}

async function send(form, button) {
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
    });
    const { problem, next_message_id } = await answer.json();
    news.textContent = problem ?? "";
    if (problem) return;
    if (form === composer) {
      form.elements.message_id.value = next_message_id;
      form.elements.text.value = "";
    }
  } catch {
    news.textContent = "The service can't be reached. Your message is still here; send it again in a moment.";
  } finally {
    button.disabled = false;
    composer.elements.text.focus();
  }
}

if (lines) {
  listen();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (new URL(form.action).pathname !== "/say") return;
    event.preventDefault();
    const button = form.querySelector("button");
    if (!button.disabled) send(form, button);
  });
  document.querySelector(".chip :checked")?.parentElement.scrollIntoView({ block: "nearest", inline: "center" });
  if (matchMedia("(pointer: fine)").matches) composer.elements.text.focus();
}

// A training's figures and curve, while it runs; once its state has changed the page is another one.
for (const watched of document.querySelectorAll("[data-watch]")) {
  const stream = new EventSource(watched.dataset.watch);
  const live = watched.querySelector("[data-live]");
  stream.addEventListener("progress", (event) => {
    if (live) live.innerHTML = JSON.parse(event.data).html;
  });
  stream.addEventListener("changed", () => { stream.close(); location.reload(); });
}

localise(document);
