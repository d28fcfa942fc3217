"""Read the parts of a file one after the other, and compare what was heard with what is there."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from features.formats.audio import UNKNOWN_FRAMES, check_shape, frame_limit, too_long
from features.formats.ffmpeg import ffmpeg_path
from features.formats.flac_walk import FlacFrames
from features.formats.foreign import ForeignSound, open_foreign
from features.formats.parts import Fault, Part
from features.formats.sound_file import UnknownEncoding, corrupt, open_by_libsndfile
from features.formats.spliced import size_of
from features.formats.table import BY_NAME
from schemas.errors import AudioError, CorruptAudio

Frames = NDArray[np.float32]

BLOCK_FRAMES: Final = 1 << 16
#: What is no longer, as most messages are, is read at once.
_AT_ONCE_FRAMES: Final = 1 << 19
#: So many are asked for behind what is expected, in case that there is more.
_BEHIND_FRAMES: Final = 1 << 12
#: Bytes of an MP3 that the second decoder is given at most: it has them in memory.
_SECOND_TRY_BYTES: Final = 1 << 26


class PartReader:
    """One part, from beginning to end.

    Attributes
    ----------
    sample_rate, channels
        Of the part.
    subtype
        libsndfile's name of the encoding.
    faults
        What was left out; known at the end.
    heard
        Frames so far.
    """

    def __init__(self, part: Part, *, allow_ffmpeg: bool, max_seconds: float) -> None:
        self._part, self._max_seconds = part, max_seconds
        self._opened: Any = None
        self._sound: Any
        self.faults: list[Fault] = []
        self.heard = 0
        self._open(allow_ffmpeg)
        try:
            self._check()
        except AudioError:
            self.close()
            raise

    def _check(self) -> None:
        """Note what the part says of itself.

        Raises
        ------
        UnsupportedAudio, AudioTooLong
            That is out of range.
        """
        sound, part = self._sound, self._part
        self.sample_rate, self.channels = int(sound.samplerate), int(sound.channels)
        self.subtype = str(sound.subtype)
        check_shape(self.sample_rate, self.channels)
        self.claimed = int(sound.frames)
        if 0 < part.frames < self.claimed < UNKNOWN_FRAMES:
            self.claimed = part.frames  # a header that states more than there is
        self._limit = frame_limit(self.sample_rate, self.channels, self.claimed, self._max_seconds)
        row = BY_NAME.get(part.format)
        if row and row.length_stated and self._limit < self.claimed < UNKNOWN_FRAMES:
            raise too_long(self._limit, self.sample_rate)

    def _open(self, allow_ffmpeg: bool) -> None:
        if self._part.decoder == "ffmpeg":
            self._sound = open_foreign(self._part, allowed=allow_ffmpeg)
            return
        opened = open_by_libsndfile(self._part.source)
        self._sound = opened.__enter__()
        self._opened = opened

    def close(self) -> None:
        """Close what was opened."""
        if self._opened:
            self._opened.__exit__(None, None, None)
        else:
            self._sound.close()

    @property
    def expected(self) -> int:
        """Frames that the bytes hold, as far as they say; else 0."""
        if self._part.frames > 0:
            return self._part.frames
        if self._part.seconds:
            return round(self._part.seconds * self.sample_rate)
        return self.claimed if 0 < self.claimed < UNKNOWN_FRAMES else 0

    def blocks(self) -> Iterator[Frames]:
        """Yield blocks of samples [shape=(n, channels)], all that the part holds.

        Raises
        ------
        AudioTooLong
            There is more than the limit.
        CorruptAudio
            Nothing of it decodes.
        """
        for block in self._all():
            self.heard += len(block)
            if self.heard > self._limit:
                raise too_long(self._limit, self.sample_rate)
            yield block
        missing = self.expected - self.heard - sum(round(f.seconds) for f in self.faults)
        if self.heard and not self.faults and missing > max(self._part.tolerance, 0):
            seconds = missing / self.sample_rate
            what = f"of the {self._part.format} {self._seconds:.3f} s were heard"
            self.faults.append(Fault(self._part.position, 0, what, seconds))

    @property
    def _seconds(self) -> float:
        return self.heard / self.sample_rate

    def _all(self) -> Iterator[Frames]:
        if isinstance(self._sound, ForeignSound):
            yield from self._foreign(self._sound)
            return
        error = None
        try:
            while len(frames := self._read()):
                yield frames
        except soundfile.LibsndfileError as failure:
            error = failure
        rest = self._rest(error)
        if rest is not None:
            yield from rest
        elif error is not None and not self.heard:
            raise corrupt(error) from error
        elif error is not None:
            what = f"libsndfile stops after {self._seconds:.3f} s: {corrupt(error)}"
            seconds = max(0, self.expected - self.heard) / self.sample_rate
            self.faults.append(Fault(self._part.position, 0, what, seconds))

    def _read(self) -> Frames:
        count = BLOCK_FRAMES
        if 0 < self.expected <= _AT_ONCE_FRAMES:
            count = max(self.expected - self.heard, _BEHIND_FRAMES)
        frames: Frames = self._sound.read(count, dtype="float32", always_2d=True)
        return frames

    def _foreign(self, sound: ForeignSound) -> Iterator[Frames]:
        while len(frames := sound.read(BLOCK_FRAMES)):
            yield frames
        if complaint := sound.complaint():
            self.faults.append(Fault(self._part.position, 0, f"ffmpeg says: {complaint}"))

    def _rest(self, error: Exception | None) -> Iterator[Frames] | None:
        """Return what another decoder hears behind the place where libsndfile stops."""
        is_short = self.expected - self.heard > self._part.tolerance
        if error is None and not is_short:
            return None
        if self._part.format == "flac":
            return self._flac_frames()
        if self._part.format in ("mp3", "mp2") and is_short:
            return self._second_mpeg()
        return None

    def _flac_frames(self) -> Iterator[Frames]:
        frames = FlacFrames(self._part.source, self.heard, self._part.position)
        yield from frames
        self.faults += frames.faults
        if not self.heard:
            raise CorruptAudio("no frame of the FLAC is whole")

    def _second_mpeg(self) -> Iterator[Frames]:
        """Hear the rest of an MP3 by dr_mp3, which goes on where mpg123 does not."""
        try:
            import miniaudio
        except ImportError:
            return
        source, skip = self._part.source, self.heard
        if size_of(source) > _SECOND_TRY_BYTES:
            return
        stream = miniaudio.stream_memory(
            source.read(),
            miniaudio.SampleFormat.FLOAT32,
            self.channels,
            self.sample_rate,
            BLOCK_FRAMES // 4,
        )
        for data in stream:
            block = np.frombuffer(data, np.float32).reshape(-1, self.channels)
            kept, skip = block[skip:], max(0, skip - len(block))
            if len(kept):
                yield kept


def open_part(part: Part, *, allow_ffmpeg: bool, max_seconds: float) -> PartReader:
    """Open a part; what libsndfile does not know of a container that ffmpeg knows, by ffmpeg.

    Raises
    ------
    AudioError
        None can.
    """
    try:
        return PartReader(part, allow_ffmpeg=allow_ffmpeg, max_seconds=max_seconds)
    except CorruptAudio as error:
        failure = error
        if isinstance(error, UnknownEncoding):
            part = replace(part, encoding=part.encoding or "an encoding unknown to libsndfile")
        if part.decoder == "ffmpeg" or not part.demuxer or not (part.encoding or allow_ffmpeg):
            raise
        if not part.encoding and ffmpeg_path() is None:
            raise
    other = replace(part, decoder="ffmpeg")
    try:
        return PartReader(other, allow_ffmpeg=allow_ffmpeg, max_seconds=max_seconds)
    except CorruptAudio:
        raise failure from None
