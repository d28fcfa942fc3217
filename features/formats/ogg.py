"""Pages of the Ogg container (RFC 3533)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, Final

_HEADER_BYTES: Final = 27
_FIRST_PAGE: Final = 0x02


def is_chained(file: BinaryIO) -> bool:
    """Tell whether another stream begins where one ended, as in a recording of a radio station.

    Parameters
    ----------
    file
        An Ogg file; read from its beginning, and left at any place.
    """
    firsts = list(_first_pages(file))
    return any(later > earlier for earlier, later in pairwise(firsts))


def _first_pages(file: BinaryIO) -> Iterator[bool]:
    """Tell of every page whether it is the first one of a stream."""
    position = 0
    while True:
        file.seek(position)
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES or not header.startswith(b"OggS"):
            return
        lengths = file.read(header[-1])
        yield bool(header[5] & _FIRST_PAGE)
        position += _HEADER_BYTES + len(lengths) + sum(lengths)
