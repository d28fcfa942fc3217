// Audio of the visitor: a file that is dropped, or the microphone.
import { fill, inks, make, percent, sized, span, swatch, colour } from "./format.js";
import { ask } from "./link.js";

const RATE = 8000;

class Panel {
  constructor(title, stop) {
    this.element = document.getElementById("heard");
    this.canvas = make("canvas", { role: "img", "aria-label": "waveform, coloured by the label of each window" });
    this.big = make("p", { class: "big", "aria-live": "polite" });
    this.say = make("p", { class: "say", role: "status" });
    this.bars = make("ul", { class: "bars", "aria-label": "Most probable genres" });
    const close = make("button", { type: "button", class: "close" }, "Close");
    close.addEventListener("click", () => { stop(); this.element.hidden = true; });
    this.element.replaceChildren(make("div", { class: "top" }, make("h2", {}, title), close), make("div", { class: "answer" }, make("div", {}, this.big, this.say, this.canvas), this.bars));
    this.element.hidden = false;
    this.windows = []; this.peaks = null; this.seconds = 0;
  }

  tell(words, bad) { this.say.textContent = words; this.say.classList.toggle("bad", Boolean(bad)); }

  answer(label, confidence, probabilities) {
    this.big.replaceChildren(swatch(label), label + " " + percent(confidence));
    const top = Object.entries(probabilities).sort((a, b) => b[1] - a[1]).slice(0, 6);
    this.bars.replaceChildren(...top.map(([name, p]) => {
      const bar = make("i");
      bar.style.setProperty("--p", p); bar.style.setProperty("--c", colour(name));
      return make("li", {}, make("span", {}, name), bar, make("b", {}, percent(p)));
    }));
  }

  draw() {
    const { context, width, height } = sized(this.canvas), { ink, track } = inks();
    const last = this.windows[this.windows.length - 1], total = Math.max(this.seconds, last ? last.end : 1);
    context.fillStyle = track;
    context.fillRect(0, height - 15, width, 14);
    for (const window of this.windows) fill(context, window.label, window.start / total * width, height - 15, Math.max(1, (window.end - window.start) / total * width - .5), 14, ink, track);
    if (!this.peaks) return;
    const middle = (height - 20) / 2;
    for (let x = 0; x < width; x++) {
      const second = x / width * total, heard = this.windows.find((window) => second >= window.start && second < window.end);
      const peak = this.peaks[Math.floor(second / Math.max(total, .001) * this.peaks.length)] || 0;
      context.fillStyle = heard && !["silence", "unknown", "speech"].includes(heard.label) ? colour(heard.label) : ink;
      context.globalAlpha = heard ? 1 : .35;
      context.fillRect(x, middle - peak * middle, 1, Math.max(1, 2 * peak * middle));
    }
    context.globalAlpha = 1;
  }
}

async function peaksOf(file) {
  if (file.size > 80e6) return null;
  const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
  const samples = audio.getChannelData(0), count = 1200, peaks = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const from = Math.floor(i * samples.length / count), to = Math.floor((i + 1) * samples.length / count);
    for (let j = from; j < to; j += 4) peaks[i] = Math.max(peaks[i], Math.abs(samples[j]));
  }
  return { peaks, seconds: audio.duration };
}

export class Heard {
  constructor() {
    const drop = document.getElementById("drop"), input = document.getElementById("file"), button = document.getElementById("microphone");
    input.addEventListener("change", () => { if (input.files.length) this.file(input.files[0]); input.value = ""; });
    addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
    addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); const file = event.dataTransfer.files[0]; if (file) this.file(file); });
    button.addEventListener("click", () => (button.getAttribute("aria-pressed") === "true" ? this.stop() : this.listen()));
    this.button = button;
    this.stop = () => {};
  }

  async file(file) {
    this.stop();
    const slug = file.name.replace(/\.[^.]*$/, "").replace(/[^\w.-]+/g, "-").slice(0, 60) || "file";
    const id = slug + "-" + Math.random().toString(36).slice(2, 8), aborter = new AbortController();
    const panel = new Panel(file.name, () => this.stop());
    const source = new EventSource("api/events?kinds=prediction&stream=" + encodeURIComponent(id));
    const end = this.stop = () => { source.close(); aborter.abort(); this.stop = () => {}; };
    panel.tell("sending");
    peaksOf(file).then((found) => { if (found) { panel.peaks = found.peaks; panel.seconds = found.seconds; panel.draw(); } }).catch(() => {});
    source.addEventListener("prediction", (event) => {
      const p = JSON.parse(event.data);
      if (p.window && !panel.windows.some((window) => window.start === p.start_seconds)) panel.windows.push({ start: p.start_seconds, end: p.end_seconds, label: p.window.label });
      panel.answer(p.label, p.confidence, p.probabilities);
      panel.tell(p.final ? "The answer for all " + span(p.end_seconds) + " of it, from " + p.windows + (p.windows === 1 ? " window" : " windows") + (panel.windows.length ? " of " + Math.round(panel.windows[0].end - panel.windows[0].start) + " s" : "") : "so far, after " + span(p.end_seconds) + (p.window ? ": this window is " + p.window.label : ""));
      panel.draw();
      if (p.final) source.close();
    });
    source.addEventListener("status", () => { if (!panel.sent) { panel.sent = true; send(); } });
    const send = async () => {
      try {
        await ask("api/streams/" + encodeURIComponent(id), { method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream" }, signal: aborter.signal });
      } catch (error) {
        if (error.name !== "AbortError") panel.tell(error.message, true);
        source.close();
      }
    };
    panel.end = end;
  }

  async listen() {
    this.stop();
    const panel = new Panel("Microphone", () => this.stop());
    let stream, socket, audio;
    this.stop = () => {
      this.stop = () => {};
      this.button.setAttribute("aria-pressed", "false");
      if (stream) stream.getTracks().forEach((track) => track.stop());
      if (socket) socket.close();
      if (audio) audio.close();
    };
    this.button.setAttribute("aria-pressed", "true");
    try {
      if (!navigator.mediaDevices) throw new Error("Browsers give the microphone to https and localhost alone: open this page by one of them.");
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      audio = new AudioContext();
      await audio.audioWorklet.addModule("capture.js");
      const address = new URL("api/microphone?rate=" + audio.sampleRate, location.href);
      address.protocol = address.protocol.replace("http", "ws");
      socket = new WebSocket(address);
      socket.binaryType = "arraybuffer";
      const node = new AudioWorkletNode(audio, "capture");
      panel.peaks = new Float32Array(300);
      panel.seconds = 30;
      node.port.onmessage = ({ data }) => {
        if (socket.readyState === 1 && socket.bufferedAmount < 1e6) socket.send(data.pcm);
        panel.peaks.copyWithin(0, 1); panel.peaks[299] = data.peak;
        panel.draw();
      };
      audio.createMediaStreamSource(stream).connect(node);
      panel.tell("listening: the first label comes after three seconds of sound");
      socket.onmessage = (event) => this.told(panel, JSON.parse(event.data));
      socket.onclose = () => { if (this.button.getAttribute("aria-pressed") === "true") { panel.tell(panel.problem || "The gateway closed the connection: press Listen again.", true); this.stop(); } };
    } catch (error) {
      panel.tell(error.name === "NotAllowedError" ? "The browser may not use the microphone: allow it beside the address of the page." : error.message, true);
      this.stop();
    }
  }

  told(panel, message) {
    if (message.problem) { panel.problem = message.problem.detail + " " + message.problem.remedy; return; }
    if (!message.now) return;
    const { now } = message;
    panel.answer(now.label, now.confidence, now.probabilities);
    panel.tell("after " + span(now.end_seconds) + (now.window ? ": this window is " + now.window : ""));
  }
}
