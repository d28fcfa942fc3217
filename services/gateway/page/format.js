// Colours, patterns and words.
export const GENRES = {
  blues: "#3f6fd1", classical: "#c7a01e", country: "#a8713c", disco: "#d5479a", hiphop: "#8253c9",
  jazz: "#17938c", metal: "#8c2f39", pop: "#f0739f", reggae: "#3f9b3f", rock: "#e2632b",
};
const SPARE = ["#5a8f00", "#0090c8", "#b0529e", "#a36a00", "#4d61a9", "#00896a", "#c0504d", "#7a7a1f"];
const PLAIN = ["silence", "unknown", "speech", "missing"];

export function colour(label) {
  if (GENRES[label]) return GENRES[label];
  let sum = 0;
  for (const letter of label) sum = (sum * 31 + letter.charCodeAt(0)) >>> 0;
  return SPARE[sum % SPARE.length];
}

// Fill a rectangle of a strip: genres by colour, what is none by a pattern.
export function fill(context, label, x, y, width, height, ink, track) {
  if (label === "missing") {
    context.fillStyle = ink;
    for (let at = Math.ceil(x / 6) * 6; at < x + width; at += 6) context.fillRect(at, y + height - 2, 3, 1);
    return;
  }
  if (!PLAIN.includes(label)) {
    context.fillStyle = colour(label);
    context.fillRect(x, y, width, height);
    return;
  }
  context.fillStyle = track;
  context.fillRect(x, y, width, height);
  context.fillStyle = context.strokeStyle = ink;
  if (label === "silence") { context.fillRect(x, y + height / 2 - .5, width, 1.5); return; }
  context.save();
  context.beginPath(); context.rect(x, y, width, height); context.clip();
  if (label === "unknown") {
    context.lineWidth = 1.2; context.beginPath();
    for (let at = Math.floor((x - height) / 5) * 5; at < x + width; at += 5) { context.moveTo(at, y + height); context.lineTo(at + height, y); }
    context.stroke();
  } else {
    for (let row = y + 3; row < y + height; row += 6)
      for (let at = Math.floor(x / 6) * 6 + ((row - y) % 12 < 6 ? 1 : 4); at < x + width; at += 6) { context.beginPath(); context.arc(at, row, 1.4, 0, 7); context.fill(); }
  }
  context.restore();
}

export const percent = (p) => Math.round(100 * p) + " %";

export function clock(ms, withDate) {
  const date = new Date(ms);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return withDate && Date.now() - ms > 21600000 && date.toDateString() !== new Date().toDateString() ? date.toLocaleDateString([], { weekday: "short" }) + " " + time : time;
}

export function ago(ms, now) {
  const seconds = Math.max(0, (now - ms) / 1000);
  if (seconds < 60) return "<1 min";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 129600) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

export const span = (seconds) => Math.floor(seconds / 60) + ":" + String(Math.floor(seconds % 60)).padStart(2, "0");

// Make an element; children are elements or text, which is never taken as HTML.
export function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") element.className = value;
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function swatch(label) {
  const plain = PLAIN.includes(label), mark = make("span", { class: plain ? "sw " + label : "sw", "aria-hidden": "true" });
  if (!plain) mark.style.setProperty("--c", colour(label));
  return mark;
}

export function text(element, value) { if (element.textContent !== value) element.textContent = value; }

let style = null;
export function inks() {
  if (!style) {
    const computed = getComputedStyle(document.documentElement);
    style = { ink: computed.getPropertyValue("--soft").trim(), track: computed.getPropertyValue("--track").trim(), bg: computed.getPropertyValue("--card").trim() };
  }
  return style;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { style = null; dispatchEvent(new Event("themed")); });

export function sized(canvas) {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}
