// A station's own page: what it sounds like over time, what happened to it, what it played.
import { ago, clock, colour, make, percent, swatch } from "./format.js";
import { ask } from "./link.js";
import { drawSpans } from "./strips.js";
import { WORDS } from "./rows.js";

const REFRESH_MS = 5000;

export class Station {
  constructor(link) { this.link = link; this.element = document.getElementById("station"); this.id = null; addEventListener("resize", () => this.strips()); addEventListener("themed", () => this.strips()); }

  open(id) {
    this.close();
    this.id = id;
    this.build();
    this.load();
  }

  close() { clearTimeout(this.timer); this.id = null; if (this.plot) { this.plot.destroy(); this.plot = null; } }

  build() {
    this.parts = {};
    const part = (name, tag, attributes) => (this.parts[name] = make(tag, attributes || {}));
    const block = (title, element) => make("section", {}, make("h3", {}, title), element);
    this.element.replaceChildren(
      make("p", {}, make("a", { href: "#/" }, "All stations")),
      part("name", "h2"), part("say", "p", { class: "say" }), part("big", "p", { class: "big" }),
      make("h3", {}, "Probabilities over the last minutes"), part("chart", "div", { class: "chart" }),
      make("h3", {}, "Last hour"), part("hour", "canvas", { class: "strip", role: "img", "aria-label": "labels of the last hour, listed under Segments" }),
      make("h3", {}, "Last day"), part("day", "canvas", { class: "strip", role: "img", "aria-label": "labels of the last day, listed under Segments" }),
      make("div", { class: "cols" }, block("Segments", part("segments", "ol", { tabindex: "0", "aria-label": "Segments" })), block("Titles", part("titles", "ol", { tabindex: "0", "aria-label": "Titles" })),
        block("Health: the last ten reasons", part("reasons", "ol", { tabindex: "0", "aria-label": "Reasons" })), block("Events", part("events", "ol", { tabindex: "0", "aria-label": "Events" }))));
  }

  async load() {
    const id = this.id;
    try {
      const detail = await ask("api/streams/" + encodeURIComponent(id));
      if (id === this.id) this.show(detail);
    } catch (error) {
      if (id === this.id) this.parts.say.textContent = error.message;
    }
    if (id === this.id) this.timer = setTimeout(() => this.load(), REFRESH_MS);
  }

  show(detail) {
    const { row } = detail, { parts } = this, now = this.link.now();
    this.spans = detail.spans;
    this.element.dataset.state = row.state;
    parts.name.textContent = row.name;
    const since = row.state_since ? " since " + clock(Date.parse(row.state_since), true) : "";
    parts.say.replaceChildren(make("span", { class: "state" }, WORDS[row.state]), [since, row.message, row.title && "Title: " + row.title].filter(Boolean).join(" · "));
    if (row.now) parts.big.replaceChildren(swatch(row.now.label), row.now.label + " ", make("em", { class: "say" }, percent(row.now.confidence) + (row.now.since ? ", since " + clock(Date.parse(row.now.since), true) + " (" + ago(Date.parse(row.now.since), now) + ")" : "")));
    const line = (ms, ...words) => make("li", {}, make("time", {}, clock(ms, true)), make("span", {}, ...words));
    const list = (element, items) => element.replaceChildren(...(items.length ? items : [make("li", {}, make("time", {}, "none yet"), "")]));
    list(parts.segments, detail.spans.slice(-100).reverse().map(([label, from, to]) => line(from, swatch(label), label + ", " + (to - from < 60000 ? Math.round((to - from) / 1000) + " s" : ago(from, to)))));
    list(parts.titles, detail.titles.map(([title, at]) => line(Date.parse(at), title)));
    list(parts.reasons, detail.reasons.map((event) => line(Date.parse(event.at), event.kind + (event.reason ? " (" + event.reason + ")" : "") + (event.message ? ": " + event.message : ""))));
    list(parts.events, detail.events.map((event) => line(Date.parse(event.at), event.kind + (event.title ? ": " + event.title : "") + (event.missing_seconds ? ", " + Math.round(event.missing_seconds) + " s were not heard" : ""))));
    this.strips();
    if (row.now) this.chart(detail, Object.keys(row.now.probabilities), row.station);
  }

  strips() {
    if (!this.id || !this.spans) return;
    const now = this.link.now();
    drawSpans(this.parts.hour, this.spans, now - 3600000, now);
    drawSpans(this.parts.day, this.spans, now - 86400000, now);
  }

  chart(detail, genres, byClock) {
    const points = detail.curve.filter((point) => point[2].length === genres.length);
    if (points.length < 2) return;
    const data = [points.map((point) => (byClock ? point[0] / 1000 : point[1])), ...genres.map((_, i) => points.map((point) => point[2][i]))];
    if (this.plot && this.plot.series.length === data.length) { this.plot.setData(data); return; }
    const axis = getComputedStyle(document.documentElement).getPropertyValue("--soft");
    const grid = { stroke: getComputedStyle(document.documentElement).getPropertyValue("--line") };
    this.plot = new window.uPlot({
      width: this.parts.chart.clientWidth, height: 260, scales: { x: { time: byClock }, y: { range: [0, 1] } },
      axes: [{ stroke: axis, grid }, { stroke: axis, grid, values: (_, ticks) => ticks.map((tick) => Math.round(tick * 100) + " %") }],
      series: [{ label: byClock ? "time" : "second" }, ...genres.map((name) => ({ label: name, stroke: colour(name), width: 2, value: (_, p) => (p === null ? "" : percent(p)) }))],
    }, data, this.parts.chart);
  }
}
