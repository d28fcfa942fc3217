"""Windows of real recordings, and of mixtures of them, labelled by what they hold.

A folder has a folder a source; a table beside the code says of each source what it holds, whether
it is held back from a scored fit, how much it weighs, and where it comes from. Recordings of one
source stay on one side.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import Samples, level_dbfs, read_file, resample
from schemas.errors import AudioError
from training.data.audio_folders import audio_below
from training.errors import DataError

SAMPLE_RATE: Final = 16_000
WINDOW: Final = 3 * SAMPLE_RATE
#: Taken of one recording at most, in samples.
CLIP: Final = 30 * SAMPLE_RATE
KINDS: Final = ("music", "speech", "environment", "crowd")
#: Speech to music, in dB, and how many mixtures of each on the side of the fit.
SPEECH_OVER_MUSIC: Final = (10, 5, 0, -5)
#: Speech or music to other sound, in dB.
OVER_ENVIRONMENT: Final = (10, 0)
MIXTURES: Final = 130
_WINDOWS_PER_CLIP: Final = 4
#: Windows of silence and faint noise on each side.
_QUIET: Final = 60
#: A window of a speech clip is speech from this share of frames with a voice, and none below.
_VOICE_FROM: Final = 0.35
_NO_VOICE_BELOW: Final = 0.05
_FRAME: Final = SAMPLE_RATE // 20
#: A frame has a voice within so many dB of the clip's loud frames.
_VOICE_RANGE_DB: Final = 25.0
#: Windows below are silence, and left out.
_FLOOR_DBFS: Final = -55.0

Labels = tuple[float, float, float]
Voiced = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Source:
    """Where recordings come from.

    Attributes
    ----------
    name
        Of the folder.
    kind
        One of `KINDS`; crowd is other sound in which people may speak.
    held_back
        Whether it is left out of the fit that is scored.
    weight
        Of each of its windows in the fit of speech.
    origin
        For the card.
    """

    name: str
    kind: str
    held_back: bool
    weight: float
    origin: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, or short ones of one source joined; samples at 16 kHz [shape=(n,)]."""

    name: str
    source: Source
    samples: Samples


@dataclass(frozen=True, slots=True)
class LabelledWindow:
    """Three seconds.

    Attributes
    ----------
    samples
        At 16 kHz [shape=(48000,)].
    clip
        What it was cut from.
    kind
        That of its source, or of a mixture, such as ``speech+10 over music``.
    held_back
        Whether all of its sources are.
    weight
        In the fit of speech.
    labels
        Whether it holds music, speech, other sound: 1, 0, or NaN where nobody knows.
    """

    samples: Samples
    clip: str
    kind: str
    held_back: bool
    weight: float
    labels: Labels


def read_sources(path: Path) -> list[Source]:
    """Read the table of sources.

    Raises
    ------
    DataError
        A kind is unknown.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    unknown = sorted({row["kind"] for row in rows} - set(KINDS))
    if unknown:
        raise DataError(f"{path} has kinds {', '.join(unknown)}: choose {', '.join(KINDS)}")
    return [
        Source(
            row["source"], row["kind"], row["held_back"] == "1", float(row["weight"]), row["origin"]
        )
        for row in rows
    ]


def read_clips(folder: Path, sources: Sequence[Source]) -> list[Clip]:
    """Read the recordings of the sources whose folders are there.

    Raises
    ------
    DataError
        A kind has none on one of the two sides.
    """
    clips = [clip for source in sources for clip in _clips_of(folder / source.name, source)]
    for kind in KINDS[:3]:
        for held_back in (False, True):
            if not any((c.source.kind, c.source.held_back) == (kind, held_back) for c in clips):
                raise DataError(
                    f"{folder} has no {kind} {'held back' if held_back else 'to fit to'}: add "
                    "recordings of such a source"
                )
    return clips


def _clips_of(folder: Path, source: Source) -> Iterator[Clip]:
    for file in audio_below(folder) if folder.is_dir() else ():
        try:
            samples = resample(read_file(file.path), SAMPLE_RATE)
        except AudioError:
            continue
        if len(samples) >= SAMPLE_RATE:
            yield Clip(f"{source.name}/{file.track}", source, samples[:CLIP])


def windows(
    clips: Sequence[Clip], seed: int = 0, mixtures: int = MIXTURES
) -> Iterator[LabelledWindow]:
    """Yield windows of the clips, then of mixtures; the same for the same seed."""
    for clip in clips:
        voiced = voiced_frames(clip.samples) if clip.source.kind == "speech" else None
        limit = None if clip.source.held_back else _WINDOWS_PER_CLIP
        for start, samples in _cut(clip.samples, limit):
            labels = _plain_labels(clip.source.kind, _share(voiced, start))
            if level_dbfs(samples) > _FLOOR_DBFS:
                source = clip.source
                yield LabelledWindow(
                    samples, clip.name, source.kind, source.held_back, source.weight, labels
                )
    random = np.random.default_rng(seed)
    yield from _quiet(random)
    for held_back in (False, True):
        side = [clip for clip in clips if clip.source.held_back == held_back]
        for ratio in SPEECH_OVER_MUSIC:
            yield from _mixtures(side, "speech", "music", ratio, mixtures, random)
        for ratio in OVER_ENVIRONMENT:
            for upper in ("speech", "music"):
                yield from _mixtures(side, upper, "environment", ratio, mixtures // 2, random)


def _quiet(random: np.random.Generator) -> Iterator[LabelledWindow]:
    """Yield silence and faint noise of many colours: neither music nor speech."""
    frequency = np.arange(1, WINDOW // 2 + 2)
    for number in range(2 * _QUIET):
        slope, level = random.uniform(-1.0, 0.0), random.uniform(-120.0, -50.0)
        spectrum = np.fft.rfft(random.standard_normal(WINDOW)) * frequency**slope
        y = np.fft.irfft(spectrum)
        y *= 10 ** (level / 20) / np.sqrt(np.mean(np.square(y))) if number % 4 else 0.0
        held_back = number % 2 == 1
        labels = (0.0, 0.0, np.nan)
        name = f"quiet {held_back} {number}"
        yield LabelledWindow(y.astype(np.float32), name, "quiet", held_back, 1.0, labels)


def _cut(samples: Samples, limit: int | None) -> list[tuple[int, Samples]]:
    """Cut windows; a rest of a second and more is repeated to three."""
    starts = np.arange(0, len(samples) - SAMPLE_RATE + 1, WINDOW)
    if limit and len(starts) > limit:
        starts = starts[np.unique(np.linspace(0, len(starts) - 1, limit).astype(int))]
    return [(int(s), np.resize(samples[s : s + WINDOW], WINDOW)) for s in starts]


def voiced_frames(samples: Samples) -> Voiced:
    """Tell which 50 ms of a speech clip are speech, and not a pause.

    Returns
    -------
    One truth value a frame [shape=(n // 800,)].
    """
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    level = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-10)
    loud = np.quantile(level, 0.9)
    voiced: Voiced = level > loud - _VOICE_RANGE_DB
    return voiced


def _share(voiced: Voiced | None, start: int) -> float:
    if voiced is None:
        return 0.0
    return float(np.mean(voiced[start // _FRAME : (start + WINDOW) // _FRAME]))


def _speaks(share: float) -> float:
    return 1.0 if share > _VOICE_FROM else 0.0 if share < _NO_VOICE_BELOW else np.nan


def _plain_labels(kind: str, voiced: float) -> Labels:
    return {
        "music": (1.0, 0.0, 0.0),
        "speech": (0.0, _speaks(voiced), 0.0),
        "environment": (0.0, 0.0, 1.0),
        "crowd": (0.0, np.nan, 1.0),
    }[kind]


def _mixtures(
    clips: Sequence[Clip],
    upper: str,
    lower: str,
    ratio: int,
    count: int,
    random: np.random.Generator,
) -> Iterator[LabelledWindow]:
    """Yield windows of clips laid over others, each source as likely as another."""
    for number in range(count):
        over, under = (_pick(clips, kind, random) for kind in (upper, lower))
        mixed, voiced = lay_over(over.samples, under.samples, ratio, random)
        name = f"{upper}{ratio:+d} over {lower}"
        for start, samples in _cut(mixed, None):
            speaks = _speaks(_share(voiced, start)) if upper == "speech" else 0.0
            labels = (float("music" in (upper, lower)), speaks, float(lower == "environment"))
            yield LabelledWindow(
                samples,
                f"{name} {over.source.held_back} {number}",
                name,
                over.source.held_back,
                2.0 if lower == "music" else 1.0,
                labels,
            )


def _pick(clips: Sequence[Clip], kind: str, random: np.random.Generator) -> Clip:
    """Take a clip of at least one window from a source chosen first."""
    fitting = [c for c in clips if c.source.kind == kind and len(c.samples) >= WINDOW]
    names = sorted({clip.source.name for clip in fitting})
    name = names[random.integers(len(names))]
    of_source = [clip for clip in fitting if clip.source.name == name]
    return of_source[random.integers(len(of_source))]


def lay_over(
    upper: Samples, lower: Samples, ratio: int, random: np.random.Generator
) -> tuple[Samples, Voiced]:
    """Mix at a ratio in dB of the levels; that of the upper is its level where it sounds."""
    length = min(len(upper), 3 * WINDOW) // WINDOW * WINDOW
    upper, lower = upper[:length], np.resize(lower, max(length, len(lower)))
    start = random.integers(0, len(lower) - length + 1)
    lower, voiced = lower[start : start + length], voiced_frames(upper)
    frames = upper.reshape(-1, _FRAME)[voiced]
    mixed = upper / _level(frames) * 10 ** (ratio / 40) + lower / _level(lower) * 10 ** (
        -ratio / 40
    )
    loudness = random.uniform(0.1, 0.9) / float(np.abs(mixed).max())
    return (mixed * loudness).astype(np.float32), voiced


def _level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples)) + 1e-9))
