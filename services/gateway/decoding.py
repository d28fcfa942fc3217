"""An encoded file that is still being uploaded, decoded as it grows, into chunks of raw PCM.

The bytes lie in a file without a name on disk: memory is bounded whatever is sent. The decoder
waits where it needs bytes that have not come.
"""

import io
import tempfile
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from features import check_shape, open_sound
from schemas import AudioChunk
from schemas.errors import AudioTooShort, CorruptAudio, InvalidSamples
from services.gateway.pcm import CHUNK_SECONDS, PcmCutter, PcmFormat

#: What 16-bit PCM holds exactly; everything else becomes float32, as the decoder gives it.
_INTEGERS: Final = frozenset({"PCM_S8", "PCM_U8", "PCM_16"})
_MAX_AMPLITUDE: Final = 64.0
_MIN_SECONDS: Final = 1.0


class UploadEnded(Exception):
    """Nothing more will come: the client went away."""


class GrowingFile(io.RawIOBase):
    """A file that one thread writes and another reads, waiting for what is not there yet.

    Parameters
    ----------
    length
        Of the whole, where it is known: then nobody waits to learn it.
    """

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self._file = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
        self._changed = threading.Condition()
        self._written = 0
        self._position = 0
        self._length = length
        self._ended = False
        self._failure: Exception | None = None

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._written

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        with self._changed:
            self._file.seek(self._written)
            self._file.write(data)
            self._written += len(data)
            self._changed.notify_all()

    def finish(self, failure: Exception | None = None) -> None:
        """Say that all bytes came, or that no more will, for a reason."""
        with self._changed:
            self._ended = True
            self._failure = failure
            self._length = self._written
            self._changed.notify_all()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it has positions."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; to learn the end of an upload of unknown length, wait for it."""
        if whence == io.SEEK_END:
            self._wait(lambda: self._length is not None)
            base = self._length or 0
        else:
            base = self._position if whence == io.SEEK_CUR else 0
        if base + offset < 0:
            raise ValueError(f"there is no position {base + offset}")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, fewer only at the end."""
        wanted = None if size is None or size < 0 else self._position + size
        self._wait(lambda: wanted is not None and self._written >= wanted)
        with self._changed:
            self._file.seek(self._position)
            data = self._file.read(-1 if wanted is None else wanted - self._position)
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _wait(self, arrived: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or arrived())
            if self._failure:
                raise self._failure

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()
        super().close()


def decode_growing(file: GrowingFile, stream_id: str, send: Callable[[AudioChunk], None]) -> float:
    """Decode to the end, and hand over chunks as they come, the last one final.

    Parameters
    ----------
    file
        What is uploaded.
    stream_id
        Key of the chunks.
    send
        Takes a chunk, and returns when another may follow.

    Returns
    -------
    The seconds that were heard.

    Raises
    ------
    AudioError
        It does not decode, or is shorter than a window may be.
    """
    with open_sound(cast(BinaryIO, file)) as sound:
        check_shape(sound.samplerate, sound.channels)
        integers = sound.subtype in _INTEGERS
        encoding = "s16le" if integers else "f32le"
        cutter = PcmCutter(stream_id, PcmFormat(sound.samplerate, sound.channels, encoding))
        frames, total = round(CHUNK_SECONDS * sound.samplerate), 0
        claimed = sound.frames
        try:
            while len(block := _read(sound, frames, integers)):
                total += len(block)
                for chunk in cutter.add(block.tobytes()):
                    send(chunk)
        finally:
            if total:
                send(cutter.end())
    return _check_length(total, claimed, sound)


def _read(sound: Any, frames: int, integers: bool) -> NDArray[Any]:
    if integers:
        block: NDArray[Any] = sound.read(frames, dtype="int16", always_2d=True)
        return block.astype("<i2", copy=False)
    block = sound.read(frames, dtype="float32", always_2d=True)
    peak = float(np.abs(block).max(initial=0.0))
    if not peak <= _MAX_AMPLITUDE:
        raise InvalidSamples(
            f"samples reach {peak:g}, at most {_MAX_AMPLITUDE:g} is accepted: "
            "float audio has full scale at 1"
        )
    return block.astype("<f4", copy=False)


def _check_length(total: int, claimed: int, sound: Any) -> float:
    if not total:
        raise CorruptAudio("the container holds no audio frames")
    seconds = total / float(sound.samplerate)
    if sound.format == "FLAC" and total < claimed < 1 << 62:
        raise CorruptAudio(f"the audio ends after {total} of {claimed} frames: send it whole")
    if seconds < _MIN_SECONDS:
        raise AudioTooShort(f"{seconds:.2f} s are shorter than the shortest window, 1 s")
    return seconds
