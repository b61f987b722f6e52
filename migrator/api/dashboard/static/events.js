// Follows /v1/events, and tells the pages what happens. Owns the stream: one for each tab that is seen, none for a hidden
// one, resumed where it was left. By fetch, for EventSource sends no token.
import { open } from "./api.js";

const AGAIN_MS = 2000;
const LONGEST_MS = 30000;
const pages = new Set();
const watchers = new Set();
let last = null;
let stream = null;
let pause = AGAIN_MS;
let timer = null;
let state = "connecting"; // live, connecting, paused, denied

// `heard(event)`: null says that events were missed, or that the tab was hidden: read everything anew.
export function subscribe(heard) {
  pages.add(heard);
  return () => pages.delete(heard);
}

export function watchState(changed) {
  watchers.add(changed);
  changed(state);
  return () => watchers.delete(changed);
}

export function start() {
  document.addEventListener("visibilitychange", () => (document.hidden ? stop("paused") : resume()));
  if (!document.hidden) follow();
}

// Anew, as with a credential that was just given.
export function resume() {
  stop("connecting");
  tell(null);
  follow();
}

function stop(why) {
  clearTimeout(timer);
  stream?.abort();
  stream = null;
  become(why);
}

async function follow() {
  const mine = (stream = new AbortController());
  try {
    const headers = { Accept: "text/event-stream", ...(last === null ? {} : { "Last-Event-ID": last }) };
    const answer = await open("GET", "/v1/events", { headers, signal: mine.signal });
    become("live");
    pause = AGAIN_MS;
    await read(answer.body.getReader());
  } catch (error) {
    if (mine !== stream) return; // it was stopped
    if (error.status === 400) last = null;
    become(error.status === 403 || error.status === 401 ? "denied" : "connecting");
    if (state === "denied") return;
    pause = Math.min(LONGEST_MS, pause * 1.5);
  }
  if (mine === stream) timer = setTimeout(follow, pause);
}

async function read(reader) {
  const text = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + text.decode(value, { stream: true })).split("\n\n");
    rest = parts.pop();
    parts.forEach(take);
  }
}

function take(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  if (fields.id !== undefined) last = fields.id;
  if (fields.event === "missed") tell(null);
  else if (fields.data !== undefined) tell(JSON.parse(fields.data));
}

function tell(event) {
  for (const heard of pages) heard(event);
}

function become(next) {
  state = next;
  for (const changed of watchers) changed(state);
}
