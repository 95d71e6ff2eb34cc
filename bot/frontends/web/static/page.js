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

// A stream of server-sent events while the page can be seen: a browser allows six connections to one host in all.
function follow(address, handlers) {
  let stream = null;
  const turn = () => {
    stream?.close();
    stream = document.hidden ? null : new EventSource(address());
    for (const [name, handler] of Object.entries(handlers)) {
      stream?.addEventListener(name, (event) => handler(event, stream));
    }
  };
  document.addEventListener("visibilitychange", turn);
  turn();
}

const CONTROLS = "a, button";

// The server escapes everything in the pieces it sends; they replace what stands under the same id.
function show(id, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  localise(template.content);
  const fresh = template.content.firstElementChild;
  const old = document.getElementById(`line-${id}`);
  const focused = old ? [...old.querySelectorAll(CONTROLS)].indexOf(document.activeElement) : -1;
  if (old) old.replaceWith(fresh);
  else lines.append(fresh);
  if (focused >= 0) fresh.querySelectorAll(CONTROLS)[focused]?.focus();
  document.getElementById("empty")?.remove();
}

function listen() {
  follow(() => `${lines.dataset.events}?since=${lines.dataset.revision}`, {
    open() { news.textContent = ""; },
    error(event, stream) {
      news.textContent = stream.readyState === EventSource.CLOSED
        ? "The connection is lost. Reload the page." : "The connection is lost, trying again…";
    },
    line(event) {
      const { id, html } = JSON.parse(event.data);
      lines.dataset.revision = event.lastEventId;
      show(id, html);
    },
    restarted(event) {
      lines.dataset.revision = event.lastEventId;
      for (const text of lines.querySelectorAll(".thinking .text")) {
        text.textContent = "The service restarted before this was answered. Send it again.";
      }
    },
  });
}

async function send(form, button) {
  const { text, message_id } = form.elements;
  const sent = text.value;
  const body = new URLSearchParams(new FormData(form));
  // The box is free at once for the next thought; what wasn't taken comes back in front of it.
  const giveBack = () => { if (form === composer) text.value = sent + text.value; };
  if (form === composer) text.value = "";
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const { problem, next_message_id } = await answer.json();
    news.textContent = problem ?? "";
    if (problem) return giveBack();
    if (form !== composer) return;
    message_id.value = next_message_id;
    lines.parentElement.scrollTop = 0; // the bottom, since it is laid out from there
  } catch {
    giveBack();
    news.textContent = "The service can't be reached. Your message is still here; send it again in a moment.";
  } finally {
    button.disabled = false;
    // The button that was switched off lost the focus; nobody's focus is taken who went elsewhere meanwhile.
    if (document.activeElement === document.body) composer.elements.text.focus();
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

// What a form asks for may take seconds and is shown by another page: until then it is sent once.
document.addEventListener("submit", (event) => {
  const { dataset } = event.target;
  if (event.defaultPrevented) return;
  if (dataset.sent) event.preventDefault();
  dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; }); // somebody went back

// A training's figures and curve, while it runs; once its state has changed the page is another one.
for (const watched of document.querySelectorAll("[data-watch]")) {
  const live = watched.querySelector("[data-live]");
  follow(() => watched.dataset.watch, {
    progress(event) { if (live) live.innerHTML = JSON.parse(event.data).html; },
    changed(event, stream) { stream.close(); location.reload(); },
  });
}

localise(document);
