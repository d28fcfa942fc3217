"""Programmes put together from tracks, speech and silence, with what is heard when.

A part of music is one track, repeated to 1 to 4 minutes, as a song is; in a medley it is several
tracks of a genre, each whole. Some parts are followed by speech or silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from features import Audio, Samples, Window, read_file, resample, window_length
from schemas import SILENCE, SPEECH

RATE: Final = 22_050
#: Of the parts, in seconds.
MUSIC_SECONDS: Final = (60.0, 240.0)
SPEECH_SECONDS: Final = (20.0, 90.0)
SILENCE_SECONDS: Final = (15.0, 40.0)
#: How many parts of music are followed by silence, and by speech.
SILENCE_SHARE: Final = 0.15
SPEECH_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of one label.

    Attributes
    ----------
    label
        A genre, ``speech`` or ``silence``.
    begin, end
        Its first sample and the one after its last, at `RATE`.
    tracks
        What sounds, one after another and again from the first; empty for silence.
    """

    label: str
    begin: int
    end: int
    tracks: tuple[Path, ...] = ()


def compose(
    genres: Mapping[str, Sequence[Path]], speech: Path, seconds: float, seed: int, *, medley: bool
) -> list[Part]:
    """Put a programme together, of at least so many seconds.

    Parameters
    ----------
    genres
        Tracks by genre; no genre follows itself.
    speech
        A recording of somebody who speaks.
    medley
        Whether a part of music is several tracks of its genre, rather than one that is repeated.
    """
    random, parts, genre = Random(seed), list[Part](), ""
    while not parts or parts[-1].end < seconds * RATE:
        genre = random.choice([name for name in genres if name != genre])
        count = min(8, len(genres[genre])) if medley else 1
        tracks = tuple(random.sample(sorted(genres[genre]), count))
        _add(parts, genre, random.uniform(*MUSIC_SECONDS), tracks)
        draw = random.random()
        if draw < SILENCE_SHARE:
            _add(parts, SILENCE, random.uniform(*SILENCE_SECONDS), ())
        elif draw < SILENCE_SHARE + SPEECH_SHARE:
            _add(parts, SPEECH, random.uniform(*SPEECH_SECONDS), (speech,))
    return parts


def _add(parts: list[Part], label: str, seconds: float, tracks: tuple[Path, ...]) -> None:
    begin = parts[-1].end if parts else 0
    parts.append(Part(label, begin, begin + round(seconds * RATE), tracks))


def windows(parts: Sequence[Part], window_seconds: float) -> Iterator[Window]:
    """Cut a programme into windows, whose borders are not those of its parts."""
    length, index = window_length(window_seconds, RATE), 0
    waiting = np.zeros(0, np.float32)
    for part in parts:
        waiting = np.concatenate([waiting, sound(part)])
        while len(waiting) >= length:
            start = index * length / RATE
            yield Window(index, start, Audio(waiting[:length], RATE))
            waiting, index = waiting[length:], index + 1


def sound(part: Part) -> Samples:
    """Return what a part sounds like [shape=(end - begin,), float32]."""
    wanted = part.end - part.begin
    if not part.tracks:
        return np.zeros(wanted, np.float32)
    tracks = np.concatenate([resample(read_file(path), RATE) for path in part.tracks])
    return np.resize(tracks, wanted)
