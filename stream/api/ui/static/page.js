// What the page can do beyond HTML: copy a text, open the JSON of a row, and show events as they come.
// Everything that comes from a server's record is set as text, never as HTML.
"use strict";

function copyButtons() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const note = button.parentElement.querySelector(".copied-note");
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        note.textContent = "Copied";
      } catch {
        note.textContent = "The browser did not allow it: select the text";
      }
    });
  }
}

function openTarget() {
  const row = location.hash.startsWith("#row-") && document.getElementById(location.hash.slice(1));
  const raw = row && row.querySelector("details");
  if (raw) raw.open = true;
}

function slashFinds(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const find = document.getElementById("find");
  if (find) {
    event.preventDefault();
    find.focus();
  }
}

const MOST_ROWS = 200;
const AGAIN_MS = 5000;

function live() {
  const place = document.getElementById("live");
  if (!place || !window.EventSource) return;
  const rows = document.getElementById("live-rows");
  const state = document.getElementById("live-state");
  const pause = document.getElementById("live-pause");
  let held = [];
  let paused = false;
  let count = 0;

  function say(text) {
    if (state.textContent !== text) state.textContent = text;
  }
  function told() {
    if (paused) say(`Paused: ${held.length}${held.length === MOST_ROWS ? " or more" : ""} events wait.`);
    else say(count ? "Connected." : "Connected: nothing has come yet.");
  }
  function cell(text, tag = "td") {
    const made = document.createElement(tag);
    made.textContent = text === null || text === undefined ? "" : String(text);
    return made;
  }
  function show(one) {
    const row = document.createElement("tr");
    const call = document.createElement("th");
    call.scope = "row";
    const link = document.createElement("a");
    link.className = "id";
    link.href = `/ui/calls/${encodeURIComponent(one.key)}`;
    link.textContent = one.call_id || one.key;
    call.append(link);
    const codes = [one.sip_response_code && `SIP ${one.sip_response_code}`, one.error_code].filter(Boolean);
    row.append(
      cell((one.received_at || "").slice(11, 23)), call,
      cell(`${one.name || ""}${one.level === "error" || one.level === "warning" ? `, ${one.level}` : ""}${one.late ? ", late" : ""}`),
      cell(one.status), cell(codes.join(", ")), cell((one.source || "").replaceAll("_", " ")));
    rows.prepend(row);
    while (rows.children.length > MOST_ROWS) rows.lastElementChild.remove();
    count += 1;
  }
  function came(message) {
    let one;
    try {
      one = JSON.parse(message.data);
    } catch {
      return;
    }
    if (!one || !one.key) return;
    if (paused) held = [...held, one].slice(-MOST_ROWS);
    else show(one);
    told();
  }

  function note(message, otherwise) {
    let reason = otherwise;
    try {
      reason = JSON.parse(message.data).detail || otherwise;
    } catch {
      // The words above are enough.
    }
    const row = document.createElement("tr");
    const said = cell(reason);
    said.colSpan = 6;
    said.className = "note";
    row.append(said);
    rows.prepend(row);
  }

  let refused = false;
  place.hidden = false;
  pause.hidden = false;
  say("Connecting…");
  function connect() {
    const stream = new EventSource(place.dataset.stream);
    stream.addEventListener("event", came);
    stream.addEventListener("gap", message => note(message, "Some events are left out."));
    stream.addEventListener("end", message => note(message, "The stream was ended."));
    stream.addEventListener("open", () => {
      if (refused) note({}, "The server did not answer for a while: what came meanwhile is not in this list.");
      refused = false;
      told();
    });
    stream.addEventListener("error", () => {
      say("Not connected: trying again…");
      // The browser tries again by itself where it was, unless it was refused.
      if (stream.readyState !== EventSource.CLOSED) return;
      refused = true;
      setTimeout(connect, AGAIN_MS);
    });
  }
  connect();
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Continue" : "Pause";
    if (!paused) {
      held.forEach(show);
      held = [];
    }
    told();
  });
}

document.addEventListener("keydown", slashFinds);
window.addEventListener("hashchange", openTarget);
copyButtons();
openTarget();
live();
