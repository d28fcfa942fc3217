"""Containers that state their length in their head: AIFF, AU, CAF and Wave64.

libsndfile reads them; here is found where one ends, so that what follows is heard as well.
"""

from collections.abc import Callable
from typing import Final

from features.formats.parts import UNKNOWN, Part, Survey
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, read_at, splice

_HEAD_BYTES: Final = 64
_CHUNK_BYTES: Final = 12
_AU_NO_SIZE: Final = 0xFFFFFFFF
_W64_HEAD: Final = 40
_CAF_HEAD: Final = 8


def _aiff_end(source: Source, position: int, end: int) -> int | None:
    del end
    size = int.from_bytes(read_at(source, position + 4, 4))
    return position + 8 + size + (size & 1)


def _au_end(source: Source, position: int, end: int) -> int | None:
    del end
    head = read_at(source, position, 12)
    offset, size = int.from_bytes(head[4:8]), int.from_bytes(head[8:12])
    return None if size == _AU_NO_SIZE else position + offset + size


def _w64_end(source: Source, position: int, end: int) -> int | None:
    del end
    size = int.from_bytes(read_at(source, position + 16, 8), "little")
    return position + size + (-size & 7)


def _caf_end(source: Source, position: int, end: int) -> int | None:
    """Go from chunk to chunk; audio of unknown length is the last."""
    place = position + _CAF_HEAD
    while place + _CHUNK_BYTES <= end:
        head = read_at(source, place, _CHUNK_BYTES)
        size = int.from_bytes(head[4:12], signed=True)
        if not head[:4].isalpha() or head[:4] == b"caff":
            return place
        if size < 0 or place + _CHUNK_BYTES + size > end:
            return None
        place += _CHUNK_BYTES + size
    return end


def _walk(
    name: str, smallest: int, find_end: Callable[[Source, int, int], int | None]
) -> Callable[[Source, int, int, Survey], int]:
    """Return the walk of a container whose end one function finds."""

    def walk(source: Source, position: int, end: int, survey: Survey) -> int:
        stated = find_end(source, position, end)
        if stated is None or not position + smallest < stated <= end:
            stated = other_container(source, position + 4, end)
        whole = source
        if position or stated != end:
            whole = splice([Piece(source, position, stated - position)])
        survey.parts.append(Part(name, whole, position, UNKNOWN))
        return stated

    return walk


walk_aiff: Final = _walk("aiff", _HEAD_BYTES // 2, _aiff_end)
walk_au: Final = _walk("au", _HEAD_BYTES // 4, _au_end)
walk_caf: Final = _walk("caf", _HEAD_BYTES // 2, _caf_end)
walk_w64: Final = _walk("w64", _W64_HEAD, _w64_end)
