"""What is kept of windows: rounded to integers, so that sums are the same in any order."""

from collections.abc import Sequence
from typing import Final

import msgspec

from schemas import SILENCE, SPEECH, UNKNOWN, Shares

#: Of a second of sound, and of a certainty.
THOUSAND: Final = 1000
#: Labels of windows without a genre.
WITHOUT_GENRE: Final = (SILENCE, UNKNOWN, SPEECH)


class NowWindow(msgspec.Struct, frozen=True, array_like=True):
    """What the fold takes of a window.

    Attributes
    ----------
    index
        Number of the window in its stream.
    start_ms, audio_ms
        Where it begins, from the start of the stream, and how long it is.
    at_ms
        When it was heard, in ms since 1970, or ``None``.
    label
        Its label where it has no genre, else empty.
    weight
        How much it counts for the genre, in thousandths; where it has none, how sure that is.
    probabilities
        Of the genres, in thousandths [length K]; empty where it has none.
    missing_chunks
        How many chunks are missing in it.
    held
        What it holds: 1 when that is known, 2 music, 4 speech, 8 other sound, 16 silence, added.
    """

    index: int
    start_ms: int
    audio_ms: int
    at_ms: int | None
    label: str
    weight: int
    probabilities: tuple[int, ...] = ()
    missing_chunks: int = 0
    held: int = 0


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of the windows of a segment, which can be longer than `now`.

    Attributes
    ----------
    windows
        How many there are.
    audio_ms
        How much audio they hold.
    missing_chunks
        How many chunks are missing in them.
    weight, probabilities
        Of those with a genre: sum of the weights in thousandths, and of the probabilities by their
        weights in millionths [length K].
    sure
        By label of those without a genre (silence, unknown, speech): sum of how sure they are.
    held
        How many say what they hold, and hold music, speech, other sound, silence.
    """

    windows: int = 0
    audio_ms: int = 0
    missing_chunks: int = 0
    weight: int = 0
    probabilities: tuple[int, ...] = ()
    sure: tuple[int, int, int] = (0, 0, 0)
    held: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)

    @property
    def shares(self) -> Shares | None:
        """How much of them is what; ``None`` where none says."""
        known, *counts = self.held
        return Shares(*(count / known for count in counts)) if known else None

    def genres(self, labels: Sequence[str]) -> dict[str, float]:
        """Return the mean probability of each genre; empty where no window counts."""
        if not self.weight:
            return {}
        means = (p / (THOUSAND * self.weight) for p in self.probabilities)
        return {x: min(1.0, mean) for x, mean in zip(labels, means, strict=True)}

    def confidence(self, label: str, labels: Sequence[str]) -> float:
        """Return the mean confidence in a label; of ``unknown`` music, in its likeliest genre."""
        genres = self.genres(labels)
        if label in genres:
            return genres[label]
        if label not in WITHOUT_GENRE or not self.windows:
            return 0.0
        sure = self.sure[WITHOUT_GENRE.index(label)]
        if label == UNKNOWN and genres and not sure:
            return max(genres.values())
        return sure / (THOUSAND * self.windows)


def add(sums: Sums, windows: Sequence[NowWindow]) -> Sums:
    """Return the sums with more windows in them."""
    genres = [window for window in windows if not window.label]
    rows = [[window.weight * p for p in window.probabilities] for window in genres]
    rows += [list(sums.probabilities)] if sums.probabilities else []
    return Sums(
        sums.windows + len(windows),
        sums.audio_ms + sum(window.audio_ms for window in windows),
        sums.missing_chunks + sum(window.missing_chunks for window in windows),
        sums.weight + sum(window.weight for window in genres),
        tuple(map(sum, zip(*rows, strict=True))),
        _sure(sums.sure, windows),
        _held(sums.held, windows),
    )


def _sure(sure: tuple[int, int, int], windows: Sequence[NowWindow]) -> tuple[int, int, int]:
    silence, unknown, speech = (
        before + sum(window.weight for window in windows if window.label == label)
        for label, before in zip(WITHOUT_GENRE, sure, strict=True)
    )
    return silence, unknown, speech


def _held(
    held: tuple[int, int, int, int, int], windows: Sequence[NowWindow]
) -> tuple[int, int, int, int, int]:
    known, music, speech, other, silence = (
        before + sum(window.held >> bit & 1 for window in windows)
        for bit, before in enumerate(held)
    )
    return known, music, speech, other, silence
