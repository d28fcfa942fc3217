// Takes samples of the microphone off the audio thread: 16-bit PCM, a tenth of a second at a time.
class Capture extends AudioWorkletProcessor {
  constructor() { super(); this.size = Math.round(sampleRate / 10); this.samples = new Int16Array(this.size); this.count = 0; this.peak = 0; }

  process(inputs) {
    const channels = inputs[0];
    if (!channels.length) return true;
    for (let i = 0; i < channels[0].length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      const sample = Math.max(-1, Math.min(1, sum / channels.length));
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.samples[this.count++] = sample * 32767;
      if (this.count === this.size) {
        const pcm = this.samples.buffer;
        this.port.postMessage({ pcm, peak: this.peak }, [pcm]);
        this.samples = new Int16Array(this.size); this.count = 0; this.peak = 0;
      }
    }
    return true;
  }
}
registerProcessor("capture", Capture);
