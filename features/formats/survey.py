"""Find all audio in a file, whatever else is in it and however it was put together."""

from functools import cache
from importlib import import_module
from typing import Final

from features.formats.mpeg_walk import find_mpeg, is_mpeg
from features.formats.parts import Fault, Part, Survey, Walk
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, read_at, size_of, splice
from features.formats.table import HEARD_HERE, Format, candidates
from features.formats.tags import after_tag, before_tags
from schemas.errors import CorruptAudio, UnsupportedAudio

#: Enough to recognise a container.
_HEAD_BYTES: Final = 512
#: MPEG frames are looked for in so many bytes where nothing is recognised.
_SEARCH: Final = 1 << 24
_MPEG: Final = ("mp3", "mp2")
#: More parts than this are no recording, but an attack.
_MAX_PARTS: Final = 1_000


def survey(source: Source) -> Survey:
    """Find the parts of a file.

    Raises
    ------
    UnsupportedAudio
        There is no audio that is known.
    CorruptAudio
        There is nothing in it, or far too many parts.
    """
    found = Survey()
    size = size_of(source)
    if not size:
        raise CorruptAudio("there is nothing in it")
    end = before_tags(source, size)
    position = 0
    while position < end:
        if len(found.parts) > _MAX_PARTS:
            raise CorruptAudio(f"more than {_MAX_PARTS} pieces of audio were joined in it")
        behind = after_tag(source, position, end)
        position = behind if behind > position else _walk(source, position, end, found)
    if not found.parts:
        raise _unknown(source, end)
    return found


def _walk(source: Source, position: int, end: int, found: Survey) -> int:
    """Note what begins here, or go to where the next begins."""
    row = recognise(source, position, end)
    if row and row.walk:
        stop = _walk_of(row)(source, position, end, found)
        return max(stop, position + 1)
    if row and not found.parts:
        whole = source if position == 0 else splice([Piece(source, position, end - position)])
        found.parts.append(Part(row.name, whole, position, decoder="ffmpeg", demuxer=row.demuxer))
        return end
    following = _next(source, position, end)
    length = following - position
    if found.parts or following < end:
        what = f"{row.title} behind other audio" if row else "what is no audio that is known"
        found.faults.append(Fault(position, length, what))
    return following


def recognise(source: Source, position: int, end: int) -> Format | None:
    """Return the row of the container that begins at a place; ``None`` for none."""
    head = read_at(source, position, min(_HEAD_BYTES, end - position))
    for row in candidates(head):
        if row.name not in _MPEG or is_mpeg(source, position, end):
            return row
    return None


@cache
def _walk_of(row: Format) -> Walk:
    module, _, name = row.walk.partition(":")
    walk: Walk = getattr(import_module(f"features.formats.{module}"), name)
    return walk


def _next(source: Source, position: int, end: int) -> int:
    """Return where the next audio begins; `end` for none."""
    other = other_container(source, position + 1, end)
    mpeg = find_mpeg(source, position, min(other, position + _SEARCH))
    return other if mpeg is None else mpeg


def _unknown(source: Source, end: int) -> CorruptAudio | UnsupportedAudio:
    row = recognise(source, 0, end)
    if row:
        return CorruptAudio(f"it begins as {row.title} does, but nothing of it can be read")
    head = read_at(source, 0, _HEAD_BYTES)
    return UnsupportedAudio(
        f"no known audio container begins with {head[:8].hex(' ')}: send WAV, FLAC, Ogg or MP3, or "
        "name raw PCM by content-type audio/pcm;rate=…;channels=…;encoding=s16le (heard besides: "
        f"{', '.join(HEARD_HERE[4:])}, and by ffmpeg what it knows)"
    )
