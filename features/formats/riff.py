"""Walk over the chunks of a WAV: RIFF, RIFX, RF64 and BW64, also with a header never finished.

A recorder that loses power leaves a size of 0 or one too small, a stream one too large. The bytes
say what is there; libsndfile is given a header that says the same.
"""

import re
import struct
from dataclasses import dataclass, field
from typing import Final, Literal

from features.formats.parts import UNKNOWN, Fault, Part, Survey
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, piece, read_at, splice
from features.formats.table import LIKE_CHUNKS
from features.formats.tags import after_tag

_HEAD_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
_LARGEST: Final = 0xFFFFFFFF
#: Sizes from here on are what streams and 64-bit files state where they know none.
_NO_SIZE: Final = 0x7FFFF000
#: Names of chunks, apart from those that look like one: letters, digits and spaces.
_DS64_DATA: Final = slice(8, 16)
#: A rest shorter than this behind the stated end is no audio that a recorder failed to count.
_UNCOUNTED_SECONDS: Final = 0.5
_PCM: Final = (1, 3, 6, 7, 0xFFFE)
#: Encodings that recorders and editors put into a WAV, by their number.
_ENCODINGS: Final = {
    0x0002: "ADPCM",
    0x0011: "IMA ADPCM",
    0x0028: "G.722",
    0x0031: "GSM 6.10",
    0x0042: "G.723.1",
    0x0045: "G.726",
    0x0050: "MPEG layer II",
    0x0055: "MP3",
    0x0083: "G.729",
    0x00FF: "AAC",
    0x0160: "WMA",
    0x0161: "WMA",
    0x0162: "WMA Pro",
    0x0163: "WMA lossless",
    0x028F: "G.722",
    0x1600: "AAC",
    0x1610: "HE-AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
    0x674F: "Vorbis",
}
#: Samples that a compressed encoding may have fewer than it states.
_ENCODER_DELAY: Final = 4_608
#: Chunks that follow others, to see where one begins.
_USUAL: Final = re.compile(
    rb"data|LIST|fact|fmt |JUNK|junk|id3 |ID3 |bext|cue |smpl|iXML|PEAK|_PMX"
)


@dataclass(slots=True)
class _Chunks:
    """What the chunks of a WAV say: where its format is, and where its audio."""

    order: Literal["<", ">"]
    format: bytes = b""
    fact: bytes = b""
    data_size: int | None = None
    audio: list[tuple[int, int]] = field(default_factory=list)
    is_sound: bool = True
    start: int = 0
    end: int = 0

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame, or of a block of a compressed encoding."""
        return int(struct.unpack_from(self.order + "H", self.format, 12)[0]) if self.format else 0

    @property
    def byte_rate(self) -> int:
        """Bytes of a second."""
        return int(struct.unpack_from(self.order + "I", self.format, 8)[0]) if self.format else 0

    @property
    def tag(self) -> int:
        """Number of the encoding."""
        return int(struct.unpack_from(self.order + "H", self.format)[0]) if self.format else 0

    @property
    def is_pcm(self) -> bool:
        """Whether every frame has so many bytes."""
        return self.tag in _PCM

    @property
    def encoding(self) -> str:
        """The encoding in words, where it is none of PCM."""
        name = _ENCODINGS.get(self.tag, "")
        return (
            "" if self.tag in (0, *_PCM) else f"encoding {self.tag:#06x}" + (name and f" ({name})")
        )


def walk_riff(source: Source, position: int, end: int, survey: Survey) -> int:
    """Note the audio of a WAV; return where it ends."""
    head = read_at(source, position, _HEAD_BYTES)
    chunks = _Chunks(">" if head.startswith(b"RIFX") else "<", start=position)
    _read_chunks(source, position + _HEAD_BYTES, end, chunks, survey)
    length = sum(stop - start for start, stop in chunks.audio)
    frames = length // chunks.frame_bytes if chunks.frame_bytes and chunks.is_pcm else UNKNOWN
    is_known = head.startswith((b"RIFF", b"RIFX", b"RF64"))
    if (is_known and chunks.is_sound and len(chunks.audio) == 1) or not chunks.format:
        pieces = [Piece(source, position, chunks.end - position)]
    else:
        pieces = [piece(_header(chunks, length))]
        pieces += [Piece(source, start, stop - start) for start, stop in chunks.audio]
    is_whole = len(pieces) == 1 and position == 0 and chunks.end == end
    whole = source if is_whole else splice(pieces)
    tolerance = 0 if chunks.is_pcm else _ENCODER_DELAY
    encoding = chunks.encoding
    survey.parts.append(
        Part(
            "wav", whole, position, frames, tolerance, demuxer=encoding and "wav", encoding=encoding
        )
    )
    return chunks.end


def _read_chunks(source: Source, position: int, end: int, chunks: _Chunks, survey: Survey) -> None:
    """Go from chunk to chunk up to another container or the end."""
    chunks.end = min(position, end)
    while position + _CHUNK_BYTES <= end:
        name, size = struct.unpack(chunks.order + "4sI", read_at(source, position, _CHUNK_BYTES))
        content = position + _CHUNK_BYTES
        if not _is_chunk(name) or name in LIKE_CHUNKS:
            break
        if name == b"data":
            content, size = content, _data_size(source, content, size, end, chunks, survey)
            chunks.audio.append((content, content + size))
        elif name == b"ds64":
            chunks.data_size = int.from_bytes(read_at(source, content, 24)[_DS64_DATA], "little")
        elif name == b"fmt " and not chunks.format:
            chunks.format = read_at(source, content, min(size, 64)).ljust(16, b"\0")
        elif name == b"fact":
            chunks.fact = read_at(source, content, 4)
        elif content + size > end:
            break
        position = _behind(source, content + size, end, chunks)
        chunks.end = min(position, end)
    if not chunks.audio or not chunks.format:
        chunks.end = max(chunks.end, min(end, position + _CHUNK_BYTES))


def _behind(source: Source, position: int, end: int, chunks: _Chunks) -> int:
    """Return where the next chunk begins: at an even place, but for writers that forget that."""
    padded = position + (position - chunks.start & 1)
    if padded == position or padded >= end or _starts_chunk(source, padded):
        return padded
    if not _starts_chunk(source, position):
        return padded
    chunks.is_sound = False
    return position


def _starts_chunk(source: Source, position: int) -> bool:
    return bool(_USUAL.match(read_at(source, position, 4)))


def _is_chunk(name: bytes) -> bool:
    return name.isascii() and name.decode().isprintable() and name.strip() != b""


def _data_size(
    source: Source, content: int, size: int, end: int, chunks: _Chunks, survey: Survey
) -> int:
    """Return how many bytes of audio there are, whatever the chunk states."""
    left = end - content
    if chunks.data_size is not None and size >= _NO_SIZE:
        size = chunks.data_size
        chunks.is_sound = chunks.is_sound and size <= left
    if size >= _NO_SIZE and size > left:
        return _up_to_next(source, content, end)
    if size > left:
        return _up_to_next(source, content, end)
    if size == left or _goes_on(source, content + size + (size & 1), end):
        return size
    rest = left - size
    uncounted = max(_CHUNK_BYTES, _UNCOUNTED_SECONDS * chunks.byte_rate) if size else 1
    if rest < uncounted:
        return size
    whole = _up_to_next(source, content + size, end) + size
    if whole > size:
        chunks.is_sound = False
        what = f"the header states {size} bytes of audio, {whole} are there: all are heard"
        survey.faults.append(Fault(content - 4, 0, what))
    return whole


def _up_to_next(source: Source, content: int, end: int) -> int:
    return other_container(source, content, end) - content


def _goes_on(source: Source, position: int, end: int) -> bool:
    """Tell whether a chunk, a tag, zeros or another container lies at a place."""
    if position >= end or after_tag(source, position, end) == end:
        return True
    head = read_at(source, position, _CHUNK_BYTES)
    if head.startswith((b"ID3", b"TAG", b"APETAGEX", *LIKE_CHUNKS)):
        return True
    name, size = head[:4], int.from_bytes(head[4:8], "little")
    return _is_chunk(name) and position + _CHUNK_BYTES + size <= end + 1


def _header(chunks: _Chunks, length: int) -> bytes:
    """Return a header that says what is there."""
    order = chunks.order
    body = b"WAVE" + _chunk(order, b"fmt ", chunks.format)
    if chunks.fact:
        body += _chunk(order, b"fact", chunks.fact)
    stated = min(length, _LARGEST)
    riff = min(len(body) + _CHUNK_BYTES + length, _LARGEST)
    head = b"RIFX" if order == ">" else b"RIFF"
    return (
        struct.pack(order + "4sI", head, riff) + body + struct.pack(order + "4sI", b"data", stated)
    )


def _chunk(order: str, name: bytes, content: bytes) -> bytes:
    return struct.pack(order + "4sI", name, len(content)) + content + b"\0" * (len(content) & 1)
