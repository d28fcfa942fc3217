// A station's own page: what it sounds like over time, what happened to it, what it played.
import { ago, clock, colour, make, percent, span, swatch, text } from "./format.js";
import { ask } from "./link.js";
import { drawSpans } from "./strips.js";
import { TROUBLES, WHY, WORDS } from "./rows.js";

const REFRESH_MS = 5000;
const HOUR_MS = 3600000;
const MARKS = 4;

export class Station {
  constructor(link) { this.link = link; this.element = document.getElementById("station"); this.id = null; addEventListener("resize", () => { this.strips(); if (this.plot) this.plot.setSize({ width: this.parts.chart.clientWidth, height: this.plot.height }); }); addEventListener("themed", () => this.strips()); }

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
      make("h3", {}, "Probabilities over the last minutes"), part("chart", "div", { class: "chart" }), part("quiet", "p", { class: "say", hidden: "" }),
      make("h3", {}, "Last hour"), part("hour", "canvas", { class: "strip", role: "img", "aria-label": "labels of the last hour, listed under Segments" }), part("hourAxis", "p", { class: "axis", "aria-hidden": "true" }),
      make("h3", {}, "Last day"), part("day", "canvas", { class: "strip", role: "img", "aria-label": "labels of the last day, listed under Segments" }), part("dayAxis", "p", { class: "axis", "aria-hidden": "true" }),
      make("div", { class: "cols" }, block("Segments", part("segments", "ol", { tabindex: "0", "aria-label": "Segments" })), block("Titles", part("titles", "ol", { tabindex: "0", "aria-label": "Titles" })),
        block("What went wrong: the last ten", part("reasons", "ol", { tabindex: "0", "aria-label": "Reasons" })), block("Events", part("events", "ol", { tabindex: "0", "aria-label": "Events" }))));
    for (const name of ["hourAxis", "dayAxis"]) this.parts[name].append(...Array.from({ length: MARKS + 1 }, () => make("span")));
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
    const since = (time) => (time ? "since " + clock(Date.parse(time), true) + ", " + ago(Date.parse(time), now) : "");
    const trouble = TROUBLES.includes(row.state);
    parts.say.replaceChildren(make("span", { class: "state" }, WORDS[row.state]), [since(row.state_since), row.title && (trouble ? "last title: " : "title: ") + row.title].filter(Boolean).join(" · "));
    parts.big.classList.toggle("why", trouble);
    if (trouble) parts.big.replaceChildren(row.message || WHY[row.state] || WORDS[row.state]);
    else if (row.now) parts.big.replaceChildren(swatch(row.now.label), row.now.label + " ", make("em", { class: "say" }, [percent(row.now.confidence), since(row.now.since)].filter(Boolean).join(", ")));
    else parts.big.replaceChildren("nothing heard yet");
    const line = (ms, ...words) => make("li", {}, make("time", {}, clock(ms, true)), make("span", {}, ...words));
    const list = (element, items) => element.replaceChildren(...(items.length ? items : [make("li", {}, make("time", {}, "none yet"), "")]));
    list(parts.segments, detail.spans.slice(-100).reverse().map(([label, from, to]) => line(from, swatch(label), label + ", " + (to - from < 60000 ? Math.round((to - from) / 1000) + " s" : ago(from, to)))));
    list(parts.titles, detail.titles.map(([title, at]) => line(Date.parse(at), title)));
    list(parts.reasons, detail.reasons.map((event) => line(Date.parse(event.at), event.kind + (event.reason ? " (" + event.reason + ")" : "") + (event.message ? ": " + event.message : ""))));
    list(parts.events, [...detail.events].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).map((event) => line(Date.parse(event.at), event.kind + (event.title ? ": " + event.title : "") + (event.missing_seconds ? ", " + Math.round(event.missing_seconds) + " s were not heard" : ""))));
    this.strips();
    const drawn = row.now ? this.chart(detail, Object.keys(row.now.probabilities), row.station) : false;
    parts.chart.hidden = !drawn;
    parts.quiet.hidden = drawn;
    text(parts.quiet, trouble ? "No sound was heard in the last minutes." : "They come with the next labels.");
  }

  strips() {
    if (!this.id || !this.spans) return;
    const now = this.link.now();
    for (const [name, length] of [["hour", HOUR_MS], ["day", 24 * HOUR_MS]]) {
      drawSpans(this.parts[name], this.spans, now - length, now);
      [...this.parts[name + "Axis"].children].forEach((mark, i) => text(mark, i === MARKS ? "now" : clock(now - length * (1 - i / MARKS))));
    }
  }

  // Draw the curve; tell whether there is one.
  chart(detail, genres, byClock) {
    const points = detail.curve.filter((point) => point[2].length === genres.length);
    if (points.length < 2) return false;
    const data = [points.map((point) => (byClock ? point[0] / 1000 : point[1])), ...genres.map((_, i) => points.map((point) => point[2][i]))];
    this.parts.chart.hidden = false;
    if (this.plot && this.plot.series.length === data.length) this.plot.setData(data);
    else this.plot = this.draw(data, genres, byClock);
    this.latest(this.plot);
    return true;
  }

  // The legend tells the newest values, until somebody points at others.
  latest(plot) { if (plot.cursor.idx === null || plot.cursor.idx === undefined) plot.setLegend({ idx: plot.data[0].length - 1 }, false); }

  draw(data, genres, byClock) {
    const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
    const axis = { stroke: ink("--soft"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line"), width: 1 } };
    const at = (second) => (byClock ? new Date(1000 * second).toLocaleTimeString() : span(second));
    return new window.uPlot({
      width: this.parts.chart.clientWidth, height: 260, scales: { x: { time: byClock }, y: { range: [0, 1] } },
      axes: [{ ...axis, space: 100, values: (_, ticks) => ticks.map(at) }, { ...axis, size: 60, values: (_, ticks) => ticks.map(percent) }],
      legend: { markers: { fill: (plot, i) => plot.series[i].stroke(plot, i) } },
      hooks: { setCursor: [(plot) => this.latest(plot)] },
      series: [{ label: "at", value: (_, second) => (second === null ? "" : at(second)) },
        ...genres.map((name) => ({ label: name, stroke: colour(name), width: 2, points: { show: false }, value: (_, p) => (p === null ? "" : percent(p)) }))],
    }, data, this.parts.chart);
  }
}
