"""Bytes from several places, read as one file: a container put in order without a copy of it."""

import io
import os
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol

#: A broken header can state more than 64 bits with a sign hold.
_LAST_PLACE: Final = (1 << 62) - 1


class Source(Protocol):
    """What is read and sought: an open file, bytes in memory, or pieces of them."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most so many bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move, and return the position."""

    def tell(self) -> int:
        """Return the position."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive bytes of a source.

    Attributes
    ----------
    source
        Where they are.
    start
        Place of the first one.
    length
        How many.
    """

    source: Source
    start: int
    length: int


def piece(data: bytes) -> Piece:
    """Return bytes as a piece."""
    return Piece(io.BytesIO(data), 0, len(data))


def size_of(source: Source) -> int:
    """Return the number of bytes, and leave the position at the beginning."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    return size


def read_at(source: Source, position: int, size: int) -> bytes:
    """Read at most so many bytes from a place; none from one that no file can have."""
    if position > _LAST_PLACE:
        return b""
    source.seek(position)
    return source.read(size)


class Spliced:
    """Pieces, one after the other, as a file that is read and sought."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = [piece for piece in pieces if piece.length]
        self._starts = [0, *accumulate(piece.length for piece in self._pieces)]
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read at most so many bytes; all that are left for -1."""
        wanted = self._starts[-1] - self._position if size < 0 else size
        found: list[bytes] = []
        while wanted > 0 and self._position < self._starts[-1]:
            data = self._read_one(wanted)
            if not data:
                break
            found.append(data)
            wanted -= len(data)
        return b"".join(found)

    def _read_one(self, size: int) -> bytes:
        number = bisect_right(self._starts, self._position) - 1
        piece, inside = self._pieces[number], self._position - self._starts[number]
        data = read_at(piece.source, piece.start + inside, min(size, piece.length - inside))
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move, from the beginning, the position or the end, and return the position."""
        base = (0, self._position, self._starts[-1])[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


def splice(pieces: Iterable[Piece]) -> Source:
    """Join pieces: in memory if they are in memory anyway, which is faster to read."""
    spliced = list(pieces)
    joined = Spliced(spliced)
    if all(isinstance(piece.source, io.BytesIO) for piece in spliced):
        return io.BytesIO(joined.read())
    return joined
