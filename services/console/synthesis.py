"""A short clip made on the spot, so that the demo needs no audio file."""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 22_050
_BEATS_PER_MINUTE = 118.0
#: Am F C G, as MIDI notes.
_CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))


def synthesise_clip(seconds: float = 12.0) -> NDArray[np.float32]:
    """Synthesise four-on-the-floor drums, an octave bass and chords.

    Returns
    -------
    Mono samples at 22 050 Hz [shape=(n,), float32], the same at every call.
    """
    noise = np.random.default_rng(1979)
    mix = np.zeros(round(seconds * SAMPLE_RATE), np.float64)
    beat = 60.0 / _BEATS_PER_MINUTE
    for number in range(int(seconds / beat)):
        start = number * beat
        chord = _CHORDS[number // 4 % len(_CHORDS)]
        _add(mix, start, 0.8 * _kick())
        _add(mix, start + beat / 2, 0.25 * _hat(noise))
        if number % 2:
            _add(mix, start, 0.4 * _snare(noise))
        for half, octave in enumerate((-24, -12)):
            _add(mix, start + half * beat / 2, 0.35 * _saw(chord[0] + octave, beat / 2))
        for note in chord:
            _add(mix, start, 0.12 * _saw(note + 12, beat * 0.9))
    clip: NDArray[np.float32] = (0.7 * mix / np.abs(mix).max()).astype(np.float32)
    return clip


def _add(mix: NDArray[np.float64], start: float, sound: NDArray[np.float64]) -> None:
    first = round(start * SAMPLE_RATE)
    sound = sound[: max(0, len(mix) - first)]
    mix[first : first + len(sound)] += sound


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _kick() -> NDArray[np.float64]:
    t = _time(0.25)
    phase = 2 * np.pi * (50 * t + 8 * (1 - np.exp(-30 * t)))
    return np.asarray(np.sin(phase) * np.exp(-12 * t))


def _snare(noise: np.random.Generator) -> NDArray[np.float64]:
    t = _time(0.2)
    return (noise.standard_normal(len(t)) * 0.6 + np.sin(2 * np.pi * 190 * t)) * np.exp(-22 * t)


def _hat(noise: np.random.Generator) -> NDArray[np.float64]:
    t = _time(0.08)
    return np.diff(noise.standard_normal(len(t) + 1)) * np.exp(-50 * t)


def _saw(note: int, seconds: float) -> NDArray[np.float64]:
    t = _time(seconds)
    frequency = 440.0 * 2 ** ((note - 69) / 12)
    partials = range(1, int(0.45 * SAMPLE_RATE / frequency / 2) + 1)
    wave = sum(np.sin(2 * np.pi * k * frequency * t) / k**1.5 for k in partials)
    return np.asarray(wave) * np.minimum(1, 200 * t) * np.exp(-3 * t)
