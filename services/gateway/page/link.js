// The connection to the gateway: the board once, then events; words for whatever is wrong.
import { text } from "./format.js";

const HIDDEN_MS = 60000;

export class Problem extends Error {
  constructor(body, status) { super((body.detail || body.title || "The gateway answered " + status) + (body.remedy ? " " + body.remedy : "")); this.status = status; }
}

export async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.ok) return response.status === 204 ? null : response.json();
  const body = await response.json().catch(() => ({}));
  throw new Problem(body, response.status);
}

export class Link {
  constructor(handlers) { this.handlers = handlers; this.source = null; this.cursor = null; this.failures = 0; this.unopened = 0; this.timer = 0; this.offset = 0; this.live = 0; }

  now() { return Date.now() + this.offset; }

  async begin() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    try {
      const board = await ask("api/board");
      this.offset = board.time - Date.now();
      this.cursor = board.cursor;
      this.handlers.board(board);
      this.status(board.status);
      this.connect();
    } catch (error) {
      if (error.status === 401) { this.say("bad", "signed out"); this.handlers.sign(); return; }
      this.lost(error instanceof Problem ? error.message : null);
    }
  }

  connect() {
    const source = this.source = new EventSource("api/events?kinds=now,row,gone&last_event_id=" + encodeURIComponent(this.cursor));
    const on = (kind, handle) => source.addEventListener(kind, (event) => {
      if (source !== this.source) return;
      if (event.lastEventId) this.cursor = event.lastEventId;
      handle(JSON.parse(event.data));
    });
    on("now", this.handlers.now);
    on("row", this.handlers.row);
    on("gone", this.handlers.gone);
    on("status", (status) => this.status(status));
    this.unopened++;
    source.onopen = () => { this.failures = this.unopened = 0; };
    source.onerror = () => { if (source === this.source) this.lost(null); };
  }

  status(status) {
    if (status.state === "reset") { this.later(100 + Math.random() * 900); return; }
    if (status.state === "dropped") { this.lost(status.text); return; }
    if (status.state === "ok") {
      this.say("ok", "live");
      this.handlers.trouble(status.unrecorded ? "Labels are live, but history is not recorded since " + new Date(status.unrecorded).toLocaleTimeString() + ": see that the recorder and its database run. It waits in Kafka and comes later." : null, true);
    }
    else { this.say("bad", "no broker"); this.handlers.trouble("No news since " + new Date(status.since).toLocaleTimeString() + ": " + status.text + "."); }
  }

  // Try again by ourselves, with jitter: a thousand pages must not come at once.
  lost(reason) {
    if (this.source) this.source.close();
    this.source = null;
    this.failures++;
    this.say("bad", navigator.onLine ? "no gateway" : "offline");
    if (this.failures > 1 || reason || !navigator.onLine)
      this.handlers.trouble((navigator.onLine ? reason || "The gateway does not answer." : "This device is offline.") + " What you see is from before; the page tries again by itself.");
    const wait = Math.min(15000, 500 * 2 ** Math.min(5, this.failures)) * (.5 + Math.random() / 2);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.resume(), wait);
  }

  // Go on where it broke off, once the gateway answers; anew if it does not take our place.
  async resume() {
    if (!this.cursor || this.unopened > 1) { this.unopened = 0; return this.begin(); }
    try { await ask("api/health"); } catch (error) {
      if (error.status === 401) return this.begin();
      return this.lost(error instanceof Problem ? error.message : null);
    }
    this.connect();
  }

  later(ms) { if (this.source) this.source.close(); this.source = null; clearTimeout(this.timer); this.timer = setTimeout(() => this.begin(), ms); }

  // `live` is since when the news come without a break; 0 while they do not.
  say(state, word) {
    if (state !== "ok") this.live = 0; else if (!this.live) this.live = this.now();
    document.body.dataset.link = state;
    const element = document.getElementById("link");
    element.dataset.state = state;
    text(element.firstElementChild, word);
  }

  watch() {
    addEventListener("online", () => { this.failures = 0; this.resume(); });
    addEventListener("offline", () => this.lost(null));
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.hiding);
      if (document.hidden) this.hiding = setTimeout(() => { if (this.source) { this.source.close(); this.source = null; this.paused = true; } }, HIDDEN_MS);
      else if (this.paused) { this.paused = false; this.begin(); }
    });
  }
}
