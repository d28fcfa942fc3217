"""Signals and encoders; all frames are float32 [shape=(n,) or (n, channels)]."""

import io
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

Frames = NDArray[np.float32]
Integers = NDArray[np.int16]


def noise(seconds: float, sample_rate: int, channels: int = 1, seed: int = 0) -> Frames:
    """Make white noise, full scale at most."""
    shape = (round(seconds * sample_rate), channels)
    frames = np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)
    return frames[:, 0] if channels == 1 else frames


def music(seconds: float, sample_rate: int, seed: int = 0) -> Frames:
    """Make chords of decaying harmonics, 120 a minute, over hi-hats: a spectrum like music."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    beat = time % 0.5
    roots = 110.0 * 2.0 ** (rng.integers(0, 12, int(seconds * 2) + 1) / 12)
    root = roots[(time * 2).astype(int)]
    phase = 2 * np.pi * np.cumsum(root) / sample_rate
    y = np.zeros_like(time)
    for interval in (1.0, 1.25, 1.5):
        for harmonic in range(1, 7):
            y += np.sin(interval * harmonic * phase) / harmonic**1.5
    hats = rng.standard_normal(len(time)) * np.exp(-60.0 * beat)
    y = y * np.exp(-3.0 * beat) + 0.5 * hats
    scaled: Frames = (0.5 * y / np.abs(y).max()).astype(np.float32)
    return scaled


def integers(frames: Frames) -> Integers:
    """Quantise to 16 bits."""
    return np.clip(np.round(frames * 32768.0), -32768, 32767).astype(np.int16)


def encode(
    frames: NDArray[Any],
    sample_rate: int,
    container: str = "WAV",
    subtype: str | None = None,
) -> bytes:
    """Encode by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, frames, sample_rate, format=container, subtype=subtype)
    return file.getvalue()
