"""Raw PCM as it comes from a socket, cut between frames into chunks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from features import check_shape
from schemas import AudioChunk
from schemas.errors import UnsupportedAudio

#: Audio in one message: short, so that a label comes soon.
CHUNK_SECONDS: Final = 1.0
_SAMPLE_BYTES: Final = {"s16le": 2, "f32le": 4}


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How samples lie in raw PCM.

    Attributes
    ----------
    sample_rate
        In Hz.
    channels
        Number of channels.
    encoding
        ``s16le`` or ``f32le``.
    """

    sample_rate: int
    channels: int
    encoding: str

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame."""
        return _SAMPLE_BYTES[self.encoding] * self.channels

    @property
    def content_type(self) -> str:
        """As the header of a message says it."""
        parameters = f"rate={self.sample_rate};channels={self.channels};encoding={self.encoding}"
        return f"audio/pcm;{parameters}"


def pcm_format(rate: str, channels: str = "1", encoding: str = "s16le") -> PcmFormat:
    """Read the three parameters of raw PCM.

    Raises
    ------
    UnsupportedAudio
        One is no number, out of range, or unknown.
    """
    for name, text in (("rate", rate), ("channels", channels)):
        if not (text.isascii() and text.isdigit() and len(text) <= 6):
            raise UnsupportedAudio(f"{name}={text[:40]!r}: raw PCM needs {name}=<integer>")
    if encoding not in _SAMPLE_BYTES:
        raise UnsupportedAudio(f"encoding={encoding[:40]!r} is not supported: use s16le or f32le")
    check_shape(int(rate), int(channels))
    return PcmFormat(int(rate), int(channels), encoding)


def parse_content_type(content_type: str) -> PcmFormat | None:
    """Read ``audio/pcm;rate=…;channels=…;encoding=…``; ``None`` for any other type.

    Raises
    ------
    UnsupportedAudio
        As `pcm_format`.
    """
    media_type, *parameters = content_type.lower().split(";")
    if media_type.strip() != "audio/pcm":
        return None
    pairs = (parameter.partition("=") for parameter in parameters)
    given = {name.strip(): value.strip(' "') for name, _, value in pairs}
    return pcm_format(
        given.get("rate", ""), given.get("channels", "1"), given.get("encoding", "s16le")
    )


@dataclass(slots=True)
class PcmCutter:
    """Cuts PCM of one stream; holds less than a chunk."""

    stream_id: str
    format: PcmFormat
    seconds: float = CHUNK_SECONDS
    _rest: bytearray = field(default_factory=bytearray)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def _chunk_bytes(self) -> int:
        return max(1, round(self.seconds * self.format.sample_rate)) * self.format.frame_bytes

    def add(self, data: bytes) -> list[AudioChunk]:
        """Add bytes, cut anywhere; return the chunks that are full."""
        self._rest += data
        size, chunks = self._chunk_bytes, []
        while len(self._rest) >= size:
            chunks.append(self._chunk(bytes(self._rest[:size])))
            del self._rest[:size]
        return chunks

    def end(self) -> AudioChunk:
        """Return the last chunk: the rest of whole frames, maybe none."""
        whole = len(self._rest) // self.format.frame_bytes * self.format.frame_bytes
        return self._chunk(bytes(self._rest[:whole]), final=True)

    def _chunk(self, data: bytes, *, final: bool = False) -> AudioChunk:
        content_type = self.format.content_type
        return AudioChunk(data, self.stream_id, content_type, final, next(self._numbers))
