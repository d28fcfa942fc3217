"""The window grid: tumbling windows at multiples of the window length from a stream's start.

A window is cut at the input's own sample rate and resampled alone. So neither the borders of the
chunks nor what came before decide any of its samples, and a stream can be taken up again at any
window by reading its audio from there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr

from features.formats.audio import Audio, Samples

#: The shortest rest of a stream that still counts as a window.
MIN_WINDOW_SECONDS: Final = 1.0
#: Lowest level reported, in dB relative to full scale: below 16-bit and 20-bit noise.
FLOOR_DBFS: Final = -120.0


@dataclass(frozen=True, slots=True)
class Window:
    """A span of a stream, at the input's own sample rate.

    Attributes
    ----------
    index
        Number of the window in its stream, from 0.
    start_seconds
        Where it begins, from the start of the stream.
    audio
        Its samples; shorter than the window length only in the last window of a stream.
    """

    index: int
    start_seconds: float
    audio: Audio

    @property
    def end_seconds(self) -> float:
        """Where the window ends, from the start of the stream."""
        return self.start_seconds + self.audio.seconds


def window_length(window_seconds: float, sample_rate: int) -> int:
    """Return the number of samples in a window."""
    return round(window_seconds * sample_rate)


def cut(pieces: Sequence[Samples], length: int) -> tuple[list[Samples], tuple[Samples, ...]]:
    """Cut whole windows off the audio at hand.

    Parameters
    ----------
    pieces
        Consecutive audio [shape=(n,) each].
    length
        Number of samples in a window.

    Returns
    -------
    windows
        As many as are complete [shape=(length,) each]; views of the last piece where they can be,
        for that may be a quarter of an hour.
    rest
        Pieces of the next window, less than `length` samples together; after a cut they are
        copies that keep nothing else alive.
    """
    count = sum(map(len, pieces)) // length
    if not count:
        return [], tuple(piece for piece in pieces if len(piece))
    *earlier, last = pieces
    held = sum(map(len, earlier))
    if held >= length:  # never of a stream, whose earlier pieces are less than a window
        earlier, last, held = [], np.concatenate(pieces), 0
    first = np.concatenate((*earlier, last[: length - held])) if held else last[:length]
    begins = range(length - held, count * length - held, length)
    windows = [first, *(last[begin : begin + length] for begin in begins)]
    rest = last[count * length - held :].copy()
    return windows, (rest,) if len(rest) else ()


def split(
    audio: Audio, window_seconds: float, min_seconds: float = MIN_WINDOW_SECONDS
) -> Iterator[Window]:
    """Cut a whole recording into the windows that the streaming service would see.

    A rest shorter than `min_seconds` is left out.
    """
    length = window_length(window_seconds, audio.sample_rate)
    windows, pieces = cut((audio.samples,), length)
    windows += [rest for rest in pieces if len(rest) >= min_seconds * audio.sample_rate]
    for index, samples in enumerate(windows):
        start = index * length / audio.sample_rate
        yield Window(index, start, Audio(samples, audio.sample_rate))


def split_blocks(
    blocks: Iterable[Samples],
    sample_rate: int,
    window_seconds: float,
    min_seconds: float = MIN_WINDOW_SECONDS,
) -> Iterator[Window]:
    """Cut a recording that comes in blocks [shape=(n,) each] as `split` cuts a whole one.

    No more than a block and a window are in memory.
    """
    length = window_length(window_seconds, sample_rate)
    pieces: tuple[Samples, ...] = ()
    index = 0
    for block in blocks:
        windows, pieces = cut((*pieces, block), length)
        for samples in windows:
            yield Window(index, index * length / sample_rate, Audio(samples, sample_rate))
            index += 1
    rest = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if len(rest) and len(rest) >= min_seconds * sample_rate:
        yield Window(index, index * length / sample_rate, Audio(rest, sample_rate))


def resample(audio: Audio, sample_rate: int) -> Samples:
    """Resample one window by soxr (quality HQ) to exactly ``round(seconds * sample_rate)`` samples.

    From 22.05 to 16 kHz soxr's filter is computed by `features.resampling`, in less time.

    Returns
    -------
    Samples at `sample_rate` [shape=(n,), float32].
    """
    if audio.sample_rate == sample_rate:
        return audio.samples
    if (audio.sample_rate, sample_rate) == (22_050, 16_000):
        from features import resampling

        return resampling.resample(audio.samples)
    length = round(len(audio.samples) * sample_rate / audio.sample_rate)
    resampled = soxr.resample(audio.samples, audio.sample_rate, sample_rate, quality="HQ")
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))


def level_dbfs(samples: Samples) -> float:
    """Return the root mean square level in dB relative to full scale, `FLOOR_DBFS` at the least."""
    power = float(np.mean(np.square(samples)))  # numpy adds in pairs: exact to 1e-6 in float32 too
    return max(FLOOR_DBFS, 10.0 * float(np.log10(power))) if power > 0 else FLOOR_DBFS
