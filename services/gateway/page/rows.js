// The list of stations and streams: one element a row, of which only what changed is touched.
import { ago, clock, make, percent, swatch, text } from "./format.js";
import { Cells, decode } from "./strips.js";

export const WORDS = { "on-air": "on air", silent: "silent", stalled: "no label", lost: "lost", refused: "refused", waiting: "waiting", idle: "idle", ended: "ended" };
// What is wrong, where nobody says more.
export const WHY = { silent: "audio comes, but it is silent", stalled: "connected, but no label comes: are extractor and classifier running?" };
export const TROUBLES = ["lost", "refused", "silent", "stalled"];
const STALL_MS = 30000;
// Labels come by the second: more pictures would cost more and say no more.
const DRAW_MS = 500;

export class Rows {
  constructor(link) {
    this.link = link; this.rows = new Map(); this.dirty = new Set(); this.list = document.getElementById("rows");
    this.find = document.getElementById("find"); this.show = document.getElementById("show"); this.sort = document.getElementById("sort");
    this.visible = new IntersectionObserver((entries) => entries.forEach((entry) => { const row = entry.target.row; row.seen = entry.isIntersecting; if (row.seen) this.touch(row); }), { rootMargin: "200px" });
    for (const control of [this.find, this.show, this.sort]) control.addEventListener("input", () => this.arrange());
    document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
    addEventListener("resize", () => this.redraw());
    addEventListener("themed", () => this.redraw());
    setInterval(() => this.tick(), 5000);
  }

  begin(board) {
    this.axes = board;
    const ids = new Set(board.rows.map((entry) => entry.row.id));
    for (const id of [...this.rows.keys()]) if (!ids.has(id)) this.remove(id);
    for (const entry of board.rows) {
      const row = this.row(entry.row);
      row.hour = new Cells(board.hour, decode(entry.hour, board.letters));
      row.day = new Cells(board.day, decode(entry.day, board.letters));
      row.stale = true;
      row.heard = entry.row.now ? this.link.now() : 0;
      this.touch(row);
    }
    this.arrange();
  }

  row(data) {
    let row = this.rows.get(data.id);
    if (row) { row.data = { ...data, now: data.now || row.data.now }; return row; }
    row = { data, heard: 0, stale: true, seen: false };
    if (this.axes) {
      row.hour = new Cells({ ...this.axes.hour }, Array(this.axes.hour.count).fill("missing"));
      row.day = new Cells({ ...this.axes.day }, Array(this.axes.day.count).fill("missing"));
    }
    this.build(row);
    this.rows.set(data.id, row);
    return row;
  }

  build(row) {
    const part = (name, ...more) => (row[name] = make("span", { class: name }, ...["one", "two", ...more].map((line) => make("span", { class: line }))));
    const strip = (name, key) => { row[key + "Canvas"] = make("canvas", { role: "img" }); return make("span", { class: name }, row[key + "Canvas"]); };
    row.levelBar = make("span", { class: "level" });
    row.levelText = make("span", { class: "two" });
    row.link = make("a", { class: "row", href: "#/s/" + encodeURIComponent(row.data.id) }, part("who"), part("now"), part("then", "two"),
      make("span", { class: "lev" }, row.levelBar, row.levelText), strip("hour", "hour"), strip("day", "day"));
    row.item = make("li", {}, row.link);
    row.item.row = row;
    this.visible.observe(row.item);
  }

  remove(id) {
    const row = this.rows.get(id);
    if (!row) return;
    this.visible.unobserve(row.item);
    row.item.remove();
    this.rows.delete(id);
    this.dirty.delete(row);
    this.count();
  }

  update(data) {
    const isNew = !this.rows.has(data.id), row = this.row(data);
    this.touch(row);
    if (isNew) this.arrange(); else this.count();
  }

  hear({ id, now }) {
    const row = this.rows.get(id);
    if (!row) return;
    const ms = this.link.now(), label = now.since ? now.label : now.window || now.label;
    row.data.now = now;
    row.heard = ms;
    row.stale = row.hour.hear(ms, label) | row.day.hear(ms, label) | row.stale;
    this.touch(row);
  }

  touch(row) {
    this.dirty.add(row);
    if (!this.frame) this.frame = setTimeout(() => { this.frame = 0; requestAnimationFrame(() => this.render()); }, DRAW_MS);
  }

  redraw() { for (const row of this.rows.values()) { row.stale = true; this.touch(row); } }

  tick() {
    const ms = this.link.now();
    for (const row of this.rows.values()) {
      row.stale = row.hour.advance(ms) | row.day.advance(ms) | row.stale;
      this.touch(row);
    }
    this.count();
  }

  // A connected station without labels is stalled; a stream without them is idle. While we hear
  // nothing of any, we know nothing new of one.
  state(row) {
    const { state, now } = row.data, quiet = this.link.live && this.link.now() - Math.max(row.heard, this.link.live) > STALL_MS;
    if (state === "on-air" || state === "stalled" || state === "idle" || state === "waiting") {
      if (now && !quiet) return now.final && !row.data.station ? "ended" : "on-air";
      return row.data.station ? (state === "on-air" ? "stalled" : state) : "idle";
    }
    return state;
  }

  render() {
    for (const row of this.dirty) {
      if (row.item.isConnected && !row.seen && row.drawn) continue;
      this.dirty.delete(row);
      this.draw(row);
    }
  }

  draw(row) {
    const { data } = row, state = this.state(row), { now } = data, ms = this.link.now();
    row.drawn = true;
    row.link.dataset.state = state;
    text(row.who.children[0], data.name);
    this.second(row, state, data);
    const trouble = TROUBLES.includes(state);
    row.now.className = trouble ? "now why" : "now";
    const since = data.state_since ? Date.parse(data.state_since) : 0;
    if (trouble) {
      this.label(row, null, data.message || WHY[state] || WORDS[state]);
      text(row.now.children[1], since ? "since " + clock(since, true) + ", " + ago(since, ms) : "");
    } else if (now) {
      this.label(row, now.label, ["unknown", "silence"].includes(now.label) ? "" : percent(now.confidence));
      text(row.now.children[1], now.since ? "since " + clock(Date.parse(now.since), true) + ", " + ago(Date.parse(now.since), ms) : data.station ? "" : "of " + Math.round(now.end_seconds) + " s");
    } else { this.label(row, null, "nothing heard yet"); text(row.now.children[1], ""); }
    const next = now && !trouble ? now.next.map(([name, p]) => name + " " + percent(p)) : [];
    for (let i = 0; i < 3; i++) text(row.then.children[i], next[i] || "");
    const level = now && state !== "idle" && state !== "ended" ? now.level_dbfs : null;
    row.levelBar.style.setProperty("--p", level === null || level === undefined ? 0 : Math.max(0, Math.min(1, (level + 60) / 60)).toFixed(2));
    text(row.levelText, level === null || level === undefined ? "" : Math.round(level) + " dB");
    if (row.stale && row.item.isConnected) {
      row.stale = false;
      row.hour.draw(row.hourCanvas); row.day.draw(row.dayCanvas);
      row.hourCanvas.setAttribute("aria-label", row.hour.words("last hour"));
      row.dayCanvas.setAttribute("aria-label", row.day.words("last day"));
    }
  }

  second(row, state, data) {
    const element = row.who.children[1], words = WORDS[state], title = ["lost", "refused"].includes(state) ? "" : data.title ? "♪ " + data.title : data.station ? "" : "stream";
    if (row.words === words && row.title === title) return;
    row.words = words; row.title = title;
    element.replaceChildren(make("span", { class: "state" }, words), make("span", { class: "title" }, title));
  }

  label(row, label, words) {
    if (row.label === label && row.said === words) return;
    row.label = label; row.said = words;
    row.now.children[0].replaceChildren(...(label ? [swatch(label), label + " ", make("em", {}, words)] : [words]));
  }

  matches(row) {
    const { data } = row, state = this.state(row), show = this.show.value;
    if (show === "on-air" && state !== "on-air") return false;
    if (show === "trouble" && !TROUBLES.includes(state)) return false;
    if (show === "stations" && !data.station) return false;
    if (show === "streams" && data.station) return false;
    const wanted = this.find.value.trim().toLowerCase();
    return !wanted || [data.name, data.id, data.title, data.now && data.now.label, ...data.tags].some((word) => word && word.toLowerCase().includes(wanted));
  }

  arrange() {
    const by = {
      name: () => 0,
      trouble: (row) => (TROUBLES.includes(this.state(row)) ? 0 : 1),
      label: (row) => (row.data.now ? row.data.now.label : "~"),
      since: (row) => -(row.data.now && row.data.now.since ? Date.parse(row.data.now.since) : 0),
      confidence: (row) => -(row.data.now ? row.data.now.confidence : 0),
    }[this.sort.value];
    const rows = [...this.rows.values()].filter((row) => this.matches(row)).map((row) => [by(row), row]);
    rows.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : y.data.station - x.data.station || x.data.name.localeCompare(y.data.name)));
    this.list.replaceChildren(...rows.map(([, row]) => row.item));
    for (const [, row] of rows) { row.drawn = false; this.touch(row); }
    const none = document.getElementById("none");
    none.hidden = rows.length > 0;
    text(none, this.rows.size ? "No station matches." : "Nothing is heard yet. Drop a song above, press Listen, or tell genrestream your stations: genrestream stations apply stations.yaml");
    this.count();
  }

  count() {
    const counts = {};
    for (const row of this.rows.values()) { const state = this.state(row); counts[state] = (counts[state] || 0) + 1; }
    const key = JSON.stringify(counts);
    if (key === this.counted) return;
    this.counted = key;
    const order = ["on-air", "silent", "stalled", "lost", "refused", "waiting", "idle", "ended"].filter((state) => counts[state]);
    document.getElementById("counts").replaceChildren(...order.map((state) => make("span", { class: TROUBLES.includes(state) ? "bad" : state }, make("b", {}, String(counts[state])), " " + (state === "ended" ? "streams ended" : WORDS[state]))));
    const broken = TROUBLES.reduce((sum, state) => sum + (counts[state] || 0), 0);
    document.title = (broken ? "(" + broken + ") " : "") + "genrestream";
  }
}
