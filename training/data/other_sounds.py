"""Sounds that are no music, made on the spot: what a genre classifier should not name.

Noise, hum, tones, clicks, whistling birds and something that moves like speech: pulses of a voice
through the formants of vowels, with hisses between them (after Klatt 1980). They need no recording,
so a model that learned them can be made again by everyone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

import features
from features import Samples
from training.data.datasets import Features

SAMPLE_RATE: Final = 16_000
SECONDS: Final = 3.0
_N: Final = round(SECONDS * SAMPLE_RATE)
_TIME: Final = np.arange(_N) / SAMPLE_RATE

Sound = NDArray[np.float64]
Random = np.random.Generator

#: First four formants of vowels in Hz (Peterson and Barney 1952; the fourth is common).
_VOWELS: Final = np.array(
    [
        [270, 2290, 3010, 3500],
        [390, 1990, 2550, 3500],
        [530, 1840, 2480, 3500],
        [660, 1720, 2410, 3500],
        [730, 1090, 2440, 3500],
        [570, 840, 2410, 3500],
        [440, 1020, 2240, 3500],
        [300, 870, 2240, 3500],
        [640, 1190, 2390, 3500],
        [490, 1350, 1690, 3500],
    ]
)
_BANDWIDTHS: Final = np.array([70.0, 100.0, 150.0, 220.0])
_STEP: Final = 160


@dataclass(frozen=True, slots=True)
class OtherFeatures:
    """Features of sounds that are no music.

    Attributes
    ----------
    X
        Features [shape=(n, D)].
    kinds
        Which of `KINDS` each is [shape=(n,)].
    """

    X: Features
    kinds: NDArray[np.str_]


def other_features(feature_set: str, count: int = 80, seed: int = 0) -> OtherFeatures:
    """Make so many windows of each kind and extract their features, in half a minute."""
    recipe = features.feature_set(feature_set)
    sounds = list(make_sounds(count, seed))
    rows = [
        recipe.extract(features.resample(features.Audio(y, SAMPLE_RATE), recipe.sample_rate))
        for _, y in sounds
    ]
    return OtherFeatures(np.array(rows), np.array([kind for kind, _ in sounds]))


def make_sounds(count: int, seed: int) -> Iterator[tuple[str, Samples]]:
    """Make so many windows of each kind, with peaks from -46 to -6 dB.

    Yields
    ------
    The kind, and 3 s at 16 kHz [shape=(48000,), float32].
    """
    random = np.random.default_rng(seed)
    for kind, make in KINDS.items():
        for _ in range(count):
            yield kind, _at_level(make(random), random)


def _at_level(sound: Sound, random: Random) -> Samples:
    peak = 10 ** (random.uniform(-46, -6) / 20)
    scaled: Samples = (peak * sound / np.abs(sound).max()).astype(np.float32)
    return scaled


def _coloured(random: Random, slope: float) -> Sound:
    """Make noise whose amplitude falls with frequency to the power of `slope`."""
    spectrum = np.fft.rfft(random.standard_normal(_N))
    slopes = np.maximum(1.0, np.arange(len(spectrum))) ** -slope
    return np.asarray(np.fft.irfft(spectrum * slopes, _N))


def _noise(random: Random) -> Sound:
    return _coloured(random, random.uniform(0.0, 1.2))


def _gusts(random: Random) -> Sound:
    """Make noise that swells and falls: wind, surf, traffic, applause."""
    swell = 1.0 + 0.95 * np.sin(2 * np.pi * random.uniform(0.3, 8) * _TIME + random.uniform(0, 6))
    return np.asarray(_noise(random) * swell ** random.uniform(1, 3))


def _hum(random: Random) -> Sound:
    hertz = random.choice([50.0, 60.0, 100.0, random.uniform(30, 400)])
    orders = np.arange(1, random.integers(4, 30))
    levels = orders ** -random.uniform(0.5, 2.0) * random.uniform(0.2, 1.0, len(orders))
    phases = random.uniform(0, 2 * np.pi, len(orders))
    partials = np.sin(2 * np.pi * hertz * orders[:, None] * _TIME + phases[:, None])
    noise = random.uniform(0, 0.1) * random.standard_normal(_N)
    return np.asarray(levels @ partials + noise)


def _tone(random: Random) -> Sound:
    hertz = np.exp(random.uniform(np.log(60), np.log(6000)))
    wave: Sound = np.sin(2 * np.pi * hertz * _TIME)
    return np.asarray(np.sign(wave) if random.random() < 0.2 else wave)


def _sweep(random: Random) -> Sound:
    low, high = np.exp(random.uniform(np.log(60), np.log(7000), 2))
    hertz = low * (high / low) ** (_TIME * random.uniform(0.3, 4) % 1.0)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE))


def _clicks(random: Random) -> Sound:
    """Make footsteps, typing, a clock: short decays at uneven times."""
    sound = np.zeros(_N)
    times = np.cumsum(random.gamma(random.choice([2, 50]), 1.0, 60))
    times *= SAMPLE_RATE / random.uniform(1.5, 12) / max(1.0, times[-1] / 60)
    sound[times[times < _N].astype(int)] = random.uniform(0.3, 1.0, int((times < _N).sum()))
    decay = np.exp(-np.arange(4000) / random.uniform(5, 800))
    body = decay * (random.standard_normal(4000) if random.random() < 0.7 else 1.0)
    size = 2 * _N
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(body, size), size)[:_N]


def _birds(random: Random) -> Sound:
    """Make whistles of 0.05 to 0.4 s that glide and trill between 1.5 and 7 kHz, with pauses."""
    sound = 0.003 * random.uniform(0, 3) * _coloured(random, 0.5)
    sound /= max(1e-9, np.abs(sound).max()) * random.uniform(15, 300)
    start = 0
    while start < _N:
        length = int(SAMPLE_RATE * random.uniform(0.05, 0.4))
        stop = min(_N, start + length)
        time = np.arange(stop - start) / SAMPLE_RATE
        hertz = random.uniform(1500, 6000) * 2 ** (random.uniform(-2, 2) * time)
        hertz *= 1 + random.uniform(0, 0.1) * np.sin(2 * np.pi * random.uniform(10, 50) * time)
        whistle = np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE)
        sound[start:stop] += whistle * np.hanning(stop - start) * random.uniform(0.3, 1.0)
        start = stop + int(SAMPLE_RATE * random.exponential(0.25))
    return sound


def _speech(random: Random) -> Sound:
    """Make syllables of a voice, with hisses and pauses, in a room with some noise."""
    formants, voiced, hissing = _articulation(random)
    pitch = random.uniform(85, 240) * np.exp(0.12 * _wander(random, 40) - 0.05 * _TIME)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    sound = np.zeros(_N)
    for order in range(1, int(5000 / pitch.mean())):
        envelope = _resonance(formants, (order * pitch)[::_STEP])
        sound += np.repeat(envelope, _STEP) * np.sin(order * phase) / order
    hiss = np.diff(random.standard_normal(_N + 1)) * random.uniform(0.02, 0.12)
    dry = sound * voiced + np.abs(sound).max() * hiss * hissing
    room = random.standard_normal(4800) * np.exp(-np.arange(4800) / random.uniform(200, 1200))
    room[0] = random.uniform(10, 60)
    wet = np.fft.irfft(np.fft.rfft(dry, 2 * _N) * np.fft.rfft(room, 2 * _N), 2 * _N)[:_N]
    noise = _coloured(random, random.uniform(0.0, 0.7))
    level = np.abs(wet).max() / np.abs(noise).max() * 10 ** random.uniform(-3.5, -1.2)
    return np.asarray(wet + level * noise)


def _articulation(random: Random) -> tuple[Sound, Sound, Sound]:
    """Return formants [shape=(300, 4)] and the strengths of voice and hiss [shape=(48000,)]."""
    size = random.uniform(0.95, 1.25)
    formants = np.zeros((_N // _STEP, 4))
    voiced, hissing = np.zeros(_N), np.zeros(_N)
    start = 0
    while start < _N:
        hiss = int(SAMPLE_RATE * random.uniform(0.02, 0.12))
        vowel = int(SAMPLE_RATE * random.uniform(0.06, 0.24))
        hissing[start : start + hiss] = random.random() < 0.6
        voiced[start + hiss : start + hiss + vowel] = random.uniform(0.4, 1.0)
        formants[start // _STEP :] = size * _VOWELS[random.integers(len(_VOWELS))]
        start += hiss + vowel
        if random.random() < 0.12:
            start += int(SAMPLE_RATE * random.uniform(0.15, 0.6))
    smooth = np.hanning(9) / np.hanning(9).sum()
    formants = np.array([np.convolve(row, smooth, "same") for row in formants.T]).T
    fade = np.hanning(640) / np.hanning(640).sum()
    return formants, np.convolve(voiced, fade, "same"), np.convolve(hissing, fade, "same")


def _resonance(formants: Sound, hertz: Sound) -> Sound:
    """Return how strongly the formants answer to a frequency at each time [shape=(300,)]."""
    distance = (hertz[:, None] - formants) / _BANDWIDTHS
    weights = np.array([1.0, 0.6, 0.35, 0.2])
    return np.asarray((weights / (1.0 + distance**2)).sum(axis=1))


def _wander(random: Random, knots: int) -> Sound:
    """Return a smooth random curve [shape=(48000,)]."""
    return np.interp(np.linspace(0, knots - 1, _N), np.arange(knots), random.standard_normal(knots))


#: How to make each kind.
KINDS: Final[Mapping[str, Callable[[Random], Sound]]] = {
    "noise": _noise,
    "gusts": _gusts,
    "hum": _hum,
    "tone": _tone,
    "sweep": _sweep,
    "clicks": _clicks,
    "birds": _birds,
    "speech": _speech,
}
