"""A whole file as one stream: its parts one after the other, at the first one's rate."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from features.formats.audio import MAX_SECONDS, downmix
from features.formats.flac_walk import as_integers
from features.formats.parts import UNKNOWN, Fault, Part, Survey
from features.formats.readers import Frames, PartReader, open_part
from features.formats.spliced import Source
from features.formats.survey import survey
from schemas.errors import AudioError, CorruptAudio

#: Of the channels' mean energy, what is left of it in their mix where they cancel out: -40 dB.
_CANCELLED: Final = 1e-4
#: Below this energy a block is silence and decides nothing: -60 dBFS.
_SILENT: Final = 1e-6


class Recording:
    """A file that is read from beginning to end.

    Attributes
    ----------
    sample_rate, channels
        Of all that is read: those of the first part.
    subtype
        libsndfile's name of the first part's encoding.
    faults
        What was left out; complete at the end.
    """

    def __init__(self, found: Survey, *, options: dict[str, Any], of_message: bool) -> None:
        self._found = found
        self._options = options
        self.faults: list[Fault] = list(found.faults)
        self._first_error: AudioError | None = None
        self._waiting = iter(found.parts)
        self._reader = self._next_reader()
        if self._reader is None:
            raise self._error()
        self.sample_rate, self.channels = self._reader.sample_rate, self._reader.channels
        self.subtype = self._reader.subtype if len(found.parts) == 1 else "FLOAT"
        self._cancels: bool | None = False if of_message or self.channels != 2 else None

    def _error(self) -> AudioError:
        """Return why nothing is heard."""
        return (
            self._found.refusal
            or self._first_error
            or CorruptAudio("the container holds no audio frames")
        )

    def _next_reader(self) -> PartReader | None:
        """Open the next part that can be; what cannot is left out, with the reason."""
        for part in self._waiting:
            try:
                return open_part(part, **self._options)
            except CorruptAudio as error:
                self._leave_out(part, error)
        return None

    def _leave_out(self, part: Part, error: AudioError) -> None:
        self._first_error = self._first_error or error
        seconds = 0.0
        self.faults.append(Fault(part.position, 0, f"{part.format}: {error}", seconds))

    @property
    def missing_seconds(self) -> float:
        """How much audio was there and could not be heard, as far as known."""
        return sum(fault.seconds for fault in self.faults)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words."""
        return tuple(map(str, self.faults))

    @property
    def seconds(self) -> float:
        """Length as far as the file says, for a progress bar; 0 where it does not."""
        frames = self._reader.expected if self._reader else 0
        rest = sum(max(0, part.frames) for part in self._found.parts[1:] if part.frames != UNKNOWN)
        return (frames + rest) / self.sample_rate

    def blocks(self) -> Iterator[Frames]:
        """Yield all audio [shape=(n, channels)], at one rate.

        Where two channels of a file cancel each other out, both are the first one: their mean would
        be silence. That is decided once, by its first block that is not silent. A message may be
        one chunk of a stream, in which nothing may depend on where it was cut (I1).
        """
        heard = False
        while self._reader:
            for block in self._converted(self._reader):
                heard = heard or bool(len(block))
                yield self._audible(block)
            self.faults += self._reader.faults
            self._reader.close()
            self._reader = self._next_reader()
        if not heard:
            raise self._error()

    def _converted(self, reader: PartReader) -> Iterator[Frames]:
        """Yield a part at the first part's rate and with its channels."""
        blocks = self._decoded(reader)
        if reader.channels != self.channels:
            blocks = (self._spread(block) for block in blocks)
        if reader.sample_rate == self.sample_rate:
            yield from blocks
            return
        stream = soxr.ResampleStream(reader.sample_rate, self.sample_rate, self.channels)
        for block in blocks:
            yield self._shaped(stream.resample_chunk(np.ascontiguousarray(block)))
        empty = np.zeros((0, self.channels), np.float32)
        yield self._shaped(stream.resample_chunk(empty, last=True))

    def _decoded(self, reader: PartReader) -> Iterator[Frames]:
        try:
            yield from reader.blocks()
        except CorruptAudio as error:
            self._leave_out(self._found.parts[0], error)

    def _shaped(self, frames: NDArray[np.float32]) -> Frames:
        return frames.reshape(-1, self.channels)

    def _spread(self, block: Frames) -> Frames:
        return np.repeat(downmix(block)[:, None], self.channels, axis=1)

    def _audible(self, block: Frames) -> Frames:
        if self._cancels is None:
            self._cancels = _cancels(block)
        return block[:, [0, 0]] if self._cancels else block

    def chunks(self, frames: int, dtype: str = "float32") -> Iterator[NDArray[Any]]:
        """Yield chunks of exactly so many frames, but for the last."""
        kept: list[Frames] = []
        count = 0
        for block in self.blocks():
            kept.append(block)
            count += len(block)
            if count < frames:
                continue
            joined = np.concatenate(kept)
            whole = count // frames * frames
            for start in range(0, whole, frames):
                yield _typed(joined[start : start + frames], dtype)
            kept, count = [joined[whole:]], count - whole
        if count:
            yield _typed(np.concatenate(kept), dtype)

    def close(self) -> None:
        """Close what is open."""
        if self._reader:
            self._reader.close()


def _typed(frames: Frames, dtype: str) -> NDArray[Any]:
    return frames if dtype == "float32" else as_integers(frames, dtype)


def _cancels(block: Frames) -> bool | None:
    """Tell whether two channels cancel each other out; ``None`` for silence."""
    energy = float(np.mean(np.square(block)))
    if not energy > _SILENT:
        return None
    return float(np.mean(np.square(downmix(block)))) < _CANCELLED * energy


@contextmanager
def open_recording(
    source: Source,
    *,
    allow_ffmpeg: bool = True,
    max_seconds: float = MAX_SECONDS,
    of_message: bool = False,
) -> Iterator[Recording]:
    """Open a file to read all audio in it.

    Raises
    ------
    AudioError
        There is none that is known and decodes.
    """
    found = survey(source, allow_ffmpeg=allow_ffmpeg, of_message=of_message)
    options = {"allow_ffmpeg": allow_ffmpeg, "max_seconds": max_seconds}
    recording = Recording(found, options=options, of_message=of_message)
    try:
        yield recording
    finally:
        recording.close()
