"""An uploaded file, decoded into chunks of raw PCM while it comes.

A decoder needs a file's end: what is joined to it, where its tags begin, how long it is. So what
has come is decoded from the beginning, again and again as it grows, and what is new of it is sent.
At the end the whole is decoded; where it is not what was sent so far, the stream begins anew with
number 0.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from features import check_shape, downmix, open_recording
from features.formats.audio import check_samples
from features.formats.decode import MAX_FILE_SECONDS
from schemas import AudioChunk
from schemas.errors import AudioError, AudioTooShort, UnsupportedAudio
from services.gateway.growing import GrowingFile, Prefix
from services.gateway.pcm import CHUNK_SECONDS, PcmCutter, PcmFormat

#: What 16-bit PCM holds exactly; everything else becomes float32, as the decoder gives it.
_INTEGERS: Final = frozenset({"PCM_S8", "PCM_U8", "PCM_16"})
_MIN_SECONDS: Final = 1.0
#: What has come is decoded when there is so much of it, so much more, and so long after the last.
_FIRST_BYTES: Final = 16 * 1024
_GROWTH: Final = 1.25
_PAUSE_SECONDS: Final = 0.25
#: The last of what has come is not sent: a frame may be cut there.
_MARGIN_SECONDS: Final = 0.15
#: Pictures in tags may come before the audio.
_MOST_TAG_BYTES: Final = 16 * 1024 * 1024
#: Chunks are short where one waits for the first label.
_SHORT_SECONDS: Final = 0.25
_SHORT_CHUNKS: Final = 32


@dataclass(slots=True)
class LastIsFinal:
    """Sends chunks one late, so that the last one with audio ends the stream.

    An empty message would end it, too, but with a prediction more than the file has windows. Each
    says when it was heard, as if the file had been played since `begun_ms`: the times at which
    chunks of several lengths come would run backwards.
    """

    cutter: PcmCutter
    send: Callable[[AudioChunk], None]
    begun_ms: float
    _size: int = 0
    _held: AudioChunk | None = None
    _count: int = 0

    def add(self, data: bytes) -> None:
        """Add PCM."""
        for chunk in self.cutter.add(data):
            self._send(chunk)

    def _send(self, chunk: AudioChunk) -> None:
        if self._held:
            self.send(self._held)
        raw = self.cutter.format
        at = self.begun_ms + 1000 * self._size / raw.frame_bytes / raw.sample_rate
        self._held = replace(chunk, captured_at=round(at))
        self._size += len(chunk.data)
        self._count += 1
        if self._count == _SHORT_CHUNKS:
            self.cutter.seconds = CHUNK_SECONDS

    def end(self) -> None:
        """Send what is left, if there was anything."""
        last = self.cutter.end()
        if last.data:
            self._send(last)
        if self._held:
            self.send(replace(self._held, final=True))


@dataclass(slots=True)
class Decoded:
    """What was sent of a stream so far.

    Attributes
    ----------
    stream_id
        Key of the chunks.
    send
        Takes a chunk, and returns when another may follow.
    format
        Of the PCM; ``None`` before the first.
    size
        Bytes of PCM that were handed over.
    """

    stream_id: str
    send: Callable[[AudioChunk], None]
    format: PcmFormat | None = None
    size: int = 0
    _cutter: LastIsFinal | None = None
    _digest: Any = field(default_factory=hashlib.sha256)

    def add(self, raw: PcmFormat, data: bytes) -> None:
        """Hand over PCM that follows."""
        if self._cutter is None:
            self.format = raw
            cutter = PcmCutter(self.stream_id, raw, _SHORT_SECONDS)
            self._cutter = LastIsFinal(cutter, self.send, 1000 * time.time())
        self._digest.update(data)
        self.size += len(data)
        self._cutter.add(data)

    def is_beginning_of(self, raw: PcmFormat, blocks: Iterator[bytes]) -> bytes | None:
        """Return what follows in the block where all that was sent ends; ``None`` for other audio.

        Takes the blocks up to there.
        """
        digest, left = hashlib.sha256(), self.size
        if self.format not in (None, raw):
            return None
        while left:
            block = next(blocks, b"")
            if not block:
                return None
            digest.update(block[:left])
            rest, left = block[left:], max(0, left - len(block))
            if not left:
                return rest if digest.digest() == self._digest.digest() else None
        return b""

    def begin_anew(self) -> None:
        """Let what follows be a stream of its own: its number 0 ends the one before."""
        self.format, self.size, self._cutter = None, 0, None
        self._digest = hashlib.sha256()

    def end(self) -> None:
        """End the stream."""
        if self._cutter:
            self._cutter.end()


def decode_growing(
    file: GrowingFile,
    stream_id: str,
    send: Callable[[AudioChunk], None],
    *,
    allow_ffmpeg: bool,
    early: bool = True,
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
        Whether formats that only ffmpeg knows are given to it, once they are whole.
    early
        Whether to decode what has come before the end.

    Returns
    -------
    The seconds that were heard.

    Raises
    ------
    AudioError
        It does not decode, or is shorter than a window may be.
    """
    decoded, wanted = Decoded(stream_id, send), _FIRST_BYTES
    try:
        while early and file.wait_for(wanted, _PAUSE_SECONDS):
            wanted = round(_GROWTH * file.size)
            try:
                early = _decode_prefix(file, decoded)
            except UnsupportedAudio:
                if file.size > _MOST_TAG_BYTES and not allow_ffmpeg:
                    raise  # it need not come whole to be refused
            except AudioError:
                pass  # its first frame may not be there yet
        if file.wait_for(_MOST_TAG_BYTES, 0) and not allow_ffmpeg:
            _require_audio(file)
        file.wait()
        return _decode_whole(file, decoded, allow_ffmpeg=allow_ffmpeg)
    finally:
        decoded.end()


def _require_audio(file: GrowingFile) -> None:
    """Refuse what is no audio of ours; it need not come whole for that."""
    try:
        with _pcm(Prefix(file), allow_ffmpeg=False):
            pass
    except UnsupportedAudio:
        raise
    except AudioError:
        pass


def _decode_prefix(file: GrowingFile, decoded: Decoded) -> bool:
    """Hand over what is new in what has come; tell whether it goes on what was handed over."""
    with _pcm(Prefix(file), allow_ffmpeg=False) as (raw, blocks):
        rest = decoded.is_beginning_of(raw, blocks)
        if rest is None:
            return False
        margin = round(_MARGIN_SECONDS * raw.sample_rate) * raw.frame_bytes
        held = rest
        for block in blocks:
            held += block
            if len(held) > margin:
                decoded.add(raw, held[:-margin])
                held = held[-margin:]
    return True


def _decode_whole(file: GrowingFile, decoded: Decoded, *, allow_ffmpeg: bool) -> float:
    with _pcm(Prefix(file), allow_ffmpeg=allow_ffmpeg) as (raw, blocks):
        rest = decoded.is_beginning_of(raw, blocks)
        if rest is not None:
            return _hand_over(decoded, raw, rest, blocks)
    decoded.begin_anew()
    with _pcm(Prefix(file), allow_ffmpeg=allow_ffmpeg) as (raw, blocks):
        return _hand_over(decoded, raw, b"", blocks)


def _hand_over(decoded: Decoded, raw: PcmFormat, rest: bytes, blocks: Iterator[bytes]) -> float:
    decoded.add(raw, rest)
    for block in blocks:
        decoded.add(raw, block)
    seconds = decoded.size / raw.frame_bytes / raw.sample_rate
    if seconds < _MIN_SECONDS:
        raise AudioTooShort(f"{seconds:.2f} s are shorter than the shortest window, 1 s")
    return seconds


@contextmanager
def _pcm(source: Prefix, *, allow_ffmpeg: bool) -> Iterator[tuple[PcmFormat, Iterator[bytes]]]:
    """Open a file, and yield its format and its PCM, a second at a time."""
    with open_recording(source, allow_ffmpeg=allow_ffmpeg, max_seconds=MAX_FILE_SECONDS) as found:
        check_shape(found.sample_rate, found.channels)
        integers = found.subtype in _INTEGERS
        dtype, encoding = ("int16", "s16le") if integers else ("float32", "f32le")

        def blocks() -> Iterator[bytes]:
            for block in found.chunks(round(CHUNK_SECONDS * found.sample_rate), dtype):
                if not integers:
                    check_samples(downmix(block))
                yield block.astype(f"<{block.dtype.str[1:]}").tobytes()

        yield PcmFormat(found.sample_rate, found.channels, encoding), blocks()
