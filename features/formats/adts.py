"""Walk over the frames of AAC in ADTS (ISO 13818-7, 6.2), as radios send it.

ffmpeg decodes it. It stops at nothing, but hears junk between frames as noise or loses a frame at
each title of a station; so it is given the frames alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from features.formats.parts import UNKNOWN, Fault, Part, Survey
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, read_at, splice
from features.formats.tags import ICY_TITLE, after_tag

_HEADER_BYTES: Final = 7
_SYNC: Final = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")
_BLOCK: Final = 1 << 20
#: Frames that must follow each other where nothing else says that there are any.
_SURE: Final = 4
_SAMPLES: Final = 1_024
_RATES: Final = (
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
)  # fmt: skip
#: Frames by which ffmpeg may hear less: the encoder's delay, and the last ones.
_TOLERANCE: Final = 4


class _Frame(NamedTuple):
    """A frame: its length in bytes, its seconds, and what all frames of a stream have in common."""

    length: int
    seconds: float
    kind: bytes


@dataclass(slots=True)
class _Found:
    """The frames so far: their places, and how long they last."""

    pieces: list[tuple[int, int]] = field(default_factory=list)
    seconds: float = 0.0


def walk_adts(source: Source, position: int, end: int, survey: Survey) -> int:
    """Note the AAC that begins at a place; return where it ends."""
    found, start, last = _Found(), position, position
    following: int | None = position
    while following is not None:
        start = following
        last, position, seconds = _follow(source, start, end)
        found.pieces.append((start, position))
        found.seconds += seconds
        following = _go_on(source, last, position, end, found, survey)
    stop = end if _frame(source, position) and position < end else position
    pieces = [Piece(source, first, behind - first) for first, behind in found.pieces]
    is_whole = len(pieces) == 1 and found.pieces[0][0] == 0 and stop == end
    whole = source if is_whole else splice(pieces)
    begin = found.pieces[0][0]
    tolerance = _TOLERANCE * _SAMPLES * 2
    survey.parts.append(
        Part("aac", whole, begin, UNKNOWN, tolerance, "ffmpeg", "aac", seconds=found.seconds)
    )
    return stop


def is_adts(source: Source, position: int, end: int) -> bool:
    """Tell whether frames of AAC begin at a place."""
    return _is_confirmed(source, position, end, 1)


def find_adts(source: Source, position: int, end: int, sure: int = _SURE) -> int | None:
    """Find so many frames of AAC behind each other, from a place on."""
    while position < end:
        data = read_at(source, position, min(_BLOCK, end - position))
        for match in _SYNC.finditer(data):
            if _is_confirmed(source, position + match.start(), end, sure):
                return position + match.start()
        position += max(1, len(data) - 1)
    return None


def _frame(source: Source, position: int) -> _Frame | None:
    header = read_at(source, position, _HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not _SYNC.match(header):
        return None
    rate = header[2] >> 2 & 0xF
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if rate >= len(_RATES) or length <= _HEADER_BYTES:
        return None
    seconds = ((header[6] & 3) + 1) * _SAMPLES / _RATES[rate]
    return _Frame(length, seconds, bytes((header[1] & 0xF8, header[2] & 0xFD, header[3] & 0xC0)))


def _is_confirmed(source: Source, position: int, end: int, sure: int) -> bool:
    """Tell whether so many frames are here, and behind them one more, a tag or the end."""
    first = frame = _frame(source, position)
    for _ in range(sure):
        if frame is None or first is None or frame.kind != first.kind:
            return False
        position += frame.length
        if position >= end:
            return position == end
        frame = _frame(source, position)
    is_more = frame is not None and first is not None and frame.kind == first.kind
    return is_more or (sure == 1 and after_tag(source, position, end) > position)


def _follow(source: Source, position: int, end: int) -> tuple[int, int, float]:
    """Follow frames that touch each other: the last one's place, that behind it, and seconds."""
    last, seconds = position, 0.0
    while (frame := _frame(source, position)) and position + frame.length <= end:
        last = position
        position += frame.length
        seconds += frame.seconds
    return last, position, seconds


def _go_on(
    source: Source, last: int, position: int, end: int, found: _Found, survey: Survey
) -> int | None:
    """Find where frames go on, and note what was left out; ``None`` where they do not."""
    behind = position
    while (after := after_tag(source, behind, end)) > behind:
        behind = after
    if behind < end and _is_confirmed(source, behind, end, 1):
        survey.faults += _faults(position, behind, "a tag, a title or zeros")
        return behind
    if position >= end:
        return None
    limit = other_container(source, position, end)
    following = find_adts(source, last + 1, limit, 2)
    if following is None:
        return None
    title = ICY_TITLE.search(read_at(source, last, following - last))
    length = 1 + 16 * title[0][0] if title else 0
    if title and following - last - length == position - last:
        place = last + title.start()
        found.pieces[-1] = found.pieces[-1][0], place
        found.pieces.append((place + length, following))
        survey.faults += _faults(place, place + length, "a title of the station")
        return following
    if following < position:
        found.pieces[-1] = found.pieces[-1][0], last
        position = last
    survey.faults += _faults(position, following, "what is no whole frame of AAC")
    return following


def _faults(start: int, end: int, what: str) -> Iterator[Fault]:
    if end > start:
        yield Fault(start, end - start, what)
