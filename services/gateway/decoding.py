"""An uploaded file, decoded into chunks of raw PCM.

The bytes lie in a file without a name on disk: memory is bounded whatever is sent. The decoder
waits where it needs bytes that have not come.
"""

import io
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final, cast

from features import check_shape, downmix, open_recording
from features.formats.audio import check_samples
from features.formats.decode import MAX_FILE_SECONDS
from schemas import AudioChunk
from schemas.errors import AudioTooShort
from services.gateway.pcm import CHUNK_SECONDS, PcmCutter, PcmFormat

#: What 16-bit PCM holds exactly; everything else becomes float32, as the decoder gives it.
_INTEGERS: Final = frozenset({"PCM_S8", "PCM_U8", "PCM_16"})
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

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
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

    def read(self, size: int | None = -1, /) -> bytes:
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


@dataclass(slots=True)
class LastIsFinal:
    """Sends chunks one late, so that the last one with audio ends the stream.

    An empty message would end it, too, but with a prediction more than the file has windows.
    """

    cutter: PcmCutter
    send: Callable[[AudioChunk], None]
    _held: AudioChunk | None = None

    def add(self, data: bytes) -> None:
        """Add PCM."""
        for chunk in self.cutter.add(data):
            self._send(chunk)

    def _send(self, chunk: AudioChunk) -> None:
        if self._held:
            self.send(self._held)
        self._held = chunk

    def end(self) -> None:
        """Send what is left, if there was anything."""
        last = self.cutter.end()
        if last.data:
            self._send(last)
        if self._held:
            self.send(replace(self._held, final=True))


def decode_growing(
    file: GrowingFile,
    stream_id: str,
    send: Callable[[AudioChunk], None],
    *,
    allow_ffmpeg: bool,
) -> float:
    """Decode to the end, and hand over chunks as they come, the last one final.

    Parameters
    ----------
    file
        What is uploaded.
    stream_id
        Key of the chunks.
    send
        Takes a chunk, and returns when another may follow.
    allow_ffmpeg
        Whether formats that only ffmpeg knows are given to it.

    Returns
    -------
    The seconds that were heard.

    Raises
    ------
    AudioError
        It does not decode, or is shorter than a window may be.
    """
    with open_recording(file, allow_ffmpeg=allow_ffmpeg, max_seconds=MAX_FILE_SECONDS) as recording:
        rate, channels = recording.sample_rate, recording.channels
        check_shape(rate, channels)
        integers = recording.subtype in _INTEGERS
        dtype, encoding = ("int16", "s16le") if integers else ("float32", "f32le")
        cutter = LastIsFinal(PcmCutter(stream_id, PcmFormat(rate, channels, encoding)), send)
        total = 0
        try:
            for block in recording.chunks(round(CHUNK_SECONDS * rate), dtype):
                if not integers:
                    check_samples(downmix(block))
                total += len(block)
                cutter.add(block.astype(f"<{block.dtype.str[1:]}").tobytes())
        finally:
            cutter.end()
    if total < _MIN_SECONDS * rate:
        raise AudioTooShort(f"{total / rate:.2f} s are shorter than the shortest window, 1 s")
    return total / rate
