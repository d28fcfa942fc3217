"""Signals and encoders for tests. All frames are float32 [shape=(n,) or (n, channels)]."""

import numpy as np

from benchmarks.signals import Frames, Integers, encode, integers, music, noise

__all__ = [
    "FLAC_LENGTH",
    "Frames",
    "Integers",
    "clicks",
    "encode",
    "integers",
    "music",
    "noise",
    "patched",
    "square",
    "tone",
]

#: Place of the low 32 of the 36 bits that state the number of samples in a FLAC stream.
FLAC_LENGTH = 22


def tone(seconds: float, sample_rate: int, hertz: float = 440.0, amplitude: float = 0.5) -> Frames:
    """Make a sine."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def clicks(seconds: float, sample_rate: int) -> Frames:
    """Make four single samples of full scale a second."""
    y = np.zeros(round(seconds * sample_rate), np.float32)
    y[:: sample_rate // 4] = 1.0
    return y


def square(seconds: float, sample_rate: int, hertz: float = 100.0) -> Frames:
    """Make a square wave of full scale."""
    return np.where(tone(seconds, sample_rate, hertz) >= 0, 1.0, -1.0).astype(np.float32)


def patched(data: bytes, offset: int, content: bytes) -> bytes:
    """Overwrite some bytes."""
    return data[:offset] + content + data[offset + len(content) :]
