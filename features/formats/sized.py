"""Containers that state their length in their head: AIFF, AU, CAF and Wave64.

libsndfile reads them; here is found where one ends, so that what follows is heard as well. A
recorder that loses power leaves a size of 0, a stream one that is unknown: libsndfile is given the
size that is there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from features.formats.parts import UNKNOWN, Fault, Part, Survey
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, piece, read_at, splice
from features.formats.table import LIKE_CHUNKS

_AU_NO_SIZE: Final = 0xFFFFFFFF
#: Beyond it a container has no more chunks than somebody wrote to keep us busy.
_MAX_CHUNKS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a container is made of chunks.

    Attributes
    ----------
    name
        Of its row in the table of formats.
    head
        Bytes before the first chunk.
    id_bytes, size_bytes
        Of a chunk's name, and of its size.
    order
        Of the bytes of a size.
    size_counts_head
        Whether the size of a chunk counts its name and size.
    align
        Chunks begin at multiples of so many bytes.
    audio
        Name of the chunk with the audio.
    """

    name: str
    head: int
    id_bytes: int
    size_bytes: int
    order: Literal["big", "little"]
    size_counts_head: bool
    align: int
    audio: bytes


_AIFF: Final = _Layout("aiff", 12, 4, 4, "big", False, 2, b"SSND")
_CAF: Final = _Layout("caf", 8, 4, 8, "big", False, 1, b"data")
_W64: Final = _Layout("w64", 40, 16, 8, "little", True, 8, b"data\xf3\xac\xd3\x11")


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk: its name, where its size stands, where its content begins, and the size stated."""

    name: bytes
    size_at: int
    content: int
    size: int


def _chunks(source: Source, position: int, end: int, layout: _Layout) -> Iterator[_Chunk]:
    """Yield chunks as they are stated, up to another container, or one that goes beyond the end."""
    place, head = position + layout.head, layout.id_bytes + layout.size_bytes
    for _ in range(_MAX_CHUNKS):
        if place + head > end:
            return
        data = read_at(source, place, head)
        if len(data) < head or not _is_name(data[:4]):
            return
        size = int.from_bytes(data[layout.id_bytes :], layout.order, signed=layout is _CAF)
        size -= head if layout.size_counts_head else 0
        chunk = _Chunk(data[: layout.id_bytes], place + layout.id_bytes, place + head, size)
        yield chunk
        place = _padded(source, position, chunk.content + max(0, size), layout)


def _padded(source: Source, position: int, stop: int, layout: _Layout) -> int:
    """Return where a chunk ends with its padding, which some leave out at the end of a file."""
    padding = (position - stop) % layout.align
    return stop if padding and read_at(source, stop, 4) in LIKE_CHUNKS else stop + padding


def _is_name(name: bytes) -> bool:
    return name.isascii() and name.decode().isprintable() and name not in LIKE_CHUNKS


def _walk(layout: _Layout) -> Callable[[Source, int, int, Survey], int]:
    """Return the walk of a container that is made of chunks."""

    def walk(source: Source, position: int, end: int, survey: Survey) -> int:
        stop, wrong = position + layout.head, None
        for chunk in _chunks(source, position, end, layout):
            behind = chunk.content + max(0, chunk.size)
            stop = _padded(source, position, max(stop, behind), layout)
            if chunk.name.startswith(layout.audio) and (chunk.size <= 0 or stop > end):
                wrong = chunk
                stop = other_container(source, chunk.content, end)
                break
        stop = min(stop, end)
        pieces = [Piece(source, position, stop - position)]
        if wrong and wrong.size <= 0 < stop - wrong.content:
            pieces = _with_size(source, position, wrong, stop, layout)
            there = stop - wrong.content
            what = f"the header does not state how much audio there is: all {there} bytes are heard"
            survey.faults.append(Fault(wrong.size_at, 0, what))
        is_whole = len(pieces) == 1 and position == 0 and stop == end
        whole = source if is_whole else splice(pieces)
        survey.parts.append(Part(layout.name, whole, position, UNKNOWN, demuxer=layout.name))
        return stop

    return walk


def _with_size(
    source: Source, position: int, chunk: _Chunk, stop: int, layout: _Layout
) -> list[Piece]:
    """Return a container whose audio has the size that is there."""
    size = stop - chunk.content
    if layout.size_counts_head:
        size += layout.id_bytes + layout.size_bytes
    stated = piece(size.to_bytes(layout.size_bytes, layout.order))
    content = Piece(source, chunk.content, stop - chunk.content)
    return [*_front(source, position, chunk, stop, layout), stated, content]


def _front(
    source: Source, position: int, chunk: _Chunk, stop: int, layout: _Layout
) -> Iterator[Piece]:
    """Yield what stands before the size of the audio; AIFF states that of the whole, too."""
    if layout is not _AIFF:
        yield Piece(source, position, chunk.size_at - position)
        return
    yield Piece(source, position, 4)
    yield piece((stop - position - 8).to_bytes(4))
    yield Piece(source, position + 8, chunk.size_at - position - 8)


def walk_au(source: Source, position: int, end: int, survey: Survey) -> int:
    """Note an AU; return where it ends."""
    head = read_at(source, position, 12)
    offset, size = int.from_bytes(head[4:8]), int.from_bytes(head[8:12])
    stop = position + offset + size
    if size in (0, _AU_NO_SIZE) or not position + 24 < stop <= end:
        stop = other_container(source, position + 4, end)
    pieces = [Piece(source, position, stop - position)]
    if not size:
        pieces = [
            Piece(source, position, 8),
            piece(b"\xff" * 4),
            Piece(source, position + 12, stop - position - 12),
        ]
    is_whole = position == 0 and stop == end and size
    whole = source if is_whole else splice(pieces)
    survey.parts.append(Part("au", whole, position, UNKNOWN, demuxer="au"))
    return stop


walk_aiff: Final = _walk(_AIFF)
walk_caf: Final = _walk(_CAF)
walk_w64: Final = _walk(_W64)
