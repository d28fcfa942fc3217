// Strips of the last hour and day: cells that labels fill.
import { fill, inks, percent, sized } from "./format.js";

export class Cells {
  constructor(axis, labels) { this.step = axis.step; this.end = axis.end; this.cells = labels; this.lead = {}; }

  // Move on to the cell of a time; what is not heard stays missing.
  advance(ms) {
    const ahead = Math.floor((ms - this.end) / this.step) + 1;
    if (ahead <= 0) return false;
    for (let i = 0; i < Math.min(ahead, this.cells.length); i++) { this.cells.shift(); this.cells.push("missing"); }
    this.end += ahead * this.step;
    this.lead = {};
    return true;
  }

  hear(ms, label) {
    const moved = this.advance(ms);
    this.lead[label] = (this.lead[label] || 0) + 1;
    const last = this.cells.length - 1;
    const best = Object.keys(this.lead).reduce((a, b) => (this.lead[b] > this.lead[a] ? b : a));
    const changed = this.cells[last] !== best;
    this.cells[last] = best;
    return moved || changed;
  }

  draw(canvas) {
    const { context, width, height } = sized(canvas);
    if (!width) return;
    const { ink, track } = inks(), count = this.cells.length;
    for (let first = 0; first < count;) {
      let next = first + 1;
      while (next < count && this.cells[next] === this.cells[first]) next++;
      const x = Math.round(first * width / count), stop = Math.round(next * width / count);
      fill(context, this.cells[first], x, 0, stop - x, height, ink, track);
      first = next;
    }
  }

  words(name) {
    const counts = {};
    for (const label of this.cells) counts[label] = (counts[label] || 0) + 1;
    const parts = Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 4);
    return name + ": " + parts.map(([label, n]) => label + " " + percent(n / this.cells.length)).join(", ");
  }
}

export function decode(letters, names) {
  return Array.from(letters, (letter) => (letter === "." ? "missing" : names[letter] || "unknown"));
}

export function drawSpans(canvas, spans, start, end) {
  const { context, width, height } = sized(canvas);
  const { ink, track } = inks();
  fill(context, "missing", 0, 0, width, height, ink, track);
  for (const [label, from, to] of spans) {
    const x = Math.max(0, (from - start) / (end - start) * width), stop = Math.min(width, (to - start) / (end - start) * width);
    if (stop > 0 && x < width) { context.clearRect(x, 0, stop - x, height); fill(context, label, x, 0, Math.max(.7, stop - x), height, ink, track); }
  }
}
