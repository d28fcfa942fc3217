"""Recognise an audio container by its first bytes.

libsndfile guesses too, but takes almost any bytes with two set sync bytes for an MP3; here two
MPEG frames must follow each other before a message counts as one.
"""

from typing import Final

from features.formats.mpeg import HEADER_BYTES, parse_frame

_MAGIC: Final = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b".snd", "au"),
    (b"RF64", "wav"),
)


def recognise(head: bytes) -> str | None:
    """Name the container that begins with these bytes, or ``None``.

    Parameters
    ----------
    head
        The first bytes of the audio; 4096 are enough.

    Returns
    -------
    ``wav``, ``flac``, ``ogg``, ``mp3``, ``aiff``, ``au`` or ``None``.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"ID3") or _begins_with_mpeg_frames(head):
        return "mp3"
    return None


def _begins_with_mpeg_frames(head: bytes) -> bool:
    frame = parse_frame(head[:HEADER_BYTES])
    if frame is None:
        return False
    following = head[frame.length : frame.length + HEADER_BYTES]
    return len(following) < HEADER_BYTES or parse_frame(following) is not None
