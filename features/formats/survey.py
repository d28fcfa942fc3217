"""Find all audio in a file, whatever else is in it and however it was put together."""

from functools import cache
from importlib import import_module
from typing import Final

from features.formats.adts import find_adts, is_adts
from features.formats.diagnosis import unknown, what_it_is
from features.formats.ffmpeg import ffmpeg_path
from features.formats.flac_walk import find_flac_frames
from features.formats.mpeg_walk import find_mpeg, is_mpeg
from features.formats.parts import Fault, Part, Survey, Walk
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, read_at, size_of, splice
from features.formats.table import Format, candidates
from features.formats.tags import after_tag, before_tags
from schemas.errors import CorruptAudio, UnsupportedAudio

#: Enough to recognise a container.
_HEAD_BYTES: Final = 1_024
#: MPEG frames are looked for in so many bytes where nothing is recognised.
_SEARCH: Final = 1 << 24
#: Enough to see what it is, if it is no audio, or the rest of a page of Ogg.
_LOOK_BYTES: Final = 1 << 16
_MPEG: Final = ("mp3", "mp2")
#: More parts than this are no recording, but an attack.
_MAX_PARTS: Final = 1_000


def survey(source: Source, *, allow_ffmpeg: bool = False, of_message: bool = False) -> Survey:
    """Find the parts of a file.

    Parameters
    ----------
    source
        The file.
    allow_ffmpeg
        What is not recognised may be a part for ffmpeg to try.
    of_message
        Refusals are worded for who sends messages; else for who has a file.

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
        _not_recognised(source, end, found, allow_ffmpeg=allow_ffmpeg, of_message=of_message)
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
        if _is_confirmed(row, source, position, end):
            return row
    return None


def _is_confirmed(row: Format, source: Source, position: int, end: int) -> bool:
    """Tell whether frames follow each other, where two bytes are all that tells a format."""
    if row.name in _MPEG:
        return is_mpeg(source, position, end)
    return row.name != "aac" or is_adts(source, position, end)


@cache
def _walk_of(row: Format) -> Walk:
    module, _, name = row.walk.partition(":")
    walk: Walk = getattr(import_module(f"features.formats.{module}"), name)
    return walk


def _next(source: Source, position: int, end: int) -> int:
    """Return where the next audio begins; `end` for none."""
    other = other_container(source, position + 1, end)
    mpeg = find_mpeg(source, position, min(other, position + _SEARCH))
    limit = min(other, position + _SEARCH) if mpeg is None else mpeg
    aac = find_adts(source, position, limit)
    found = [place for place in (mpeg, aac) if place is not None]
    return min(found, default=other)


def _not_recognised(
    source: Source, end: int, found: Survey, *, allow_ffmpeg: bool, of_message: bool
) -> None:
    """Leave what is not recognised to ffmpeg, where that may try.

    Raises
    ------
    AudioError
        It must not, or what is there is known to be no audio.
    """
    row = recognise(source, 0, end)
    if row:
        raise CorruptAudio(f"it begins as {row.title} does, but nothing of it can be read")
    head = read_at(source, 0, _LOOK_BYTES)
    refusal = UnsupportedAudio(unknown(head, of_message=of_message))
    frames = find_flac_frames(source)
    if frames is not None:
        rest = splice([Piece(source, frames, end - frames)])
        found.faults.append(Fault(0, frames, "FLAC without its head, and what is before a frame"))
        found.parts.append(Part("flac", rest, frames, decoder="ffmpeg", demuxer="flac"))
        return
    if not allow_ffmpeg or what_it_is(head) or ffmpeg_path() is None:
        raise refusal
    found.refusal = refusal
    found.parts.append(Part("unknown", source, 0, decoder="ffmpeg"))
