"""What lies before, between and behind audio and is none: tags, headers of HTTP, zeros."""

import re
from typing import Final

from features.formats.spliced import Source, read_at

_ID3_HEADER_BYTES: Final = 10
_ID3_FOOTER: Final = 0x10
_ID3V1_BYTES: Final = 128
_APE_BYTES: Final = 32
_APE_HAS_HEADER: Final = 1 << 31
_APE_IS_HEADER: Final = 1 << 29
_HTTP: Final = re.compile(rb"(?:HTTP/\d|ICY )[^\0]{0,8192}?\r?\n\r?\n", re.DOTALL)
#: A title of SHOUTcast between the audio: its length in 16 bytes, then the text.
ICY_TITLE: Final = re.compile(rb"[\x01-\xff]Stream(?:Title|Url)='", re.DOTALL)
_NO_ZERO: Final = re.compile(rb"[^\0]")
_BLOCK: Final = 1 << 16


def after_tag(source: Source, position: int, end: int) -> int:
    """Return the place behind a tag, a header of HTTP, a title or zeros; the same if none is there.

    Parameters
    ----------
    source
        The file.
    position
        Where it may begin.
    end
        Where the file ends.
    """
    head = read_at(source, position, _ID3_HEADER_BYTES + _APE_BYTES)
    length = 0
    if head.startswith(b"ID3"):
        length = id3v2_length(head)
        if position + length > end:  # its size is wrong: what follows is looked for
            length = min(length, _ID3_HEADER_BYTES)
    elif head.startswith(b"APETAGEX"):
        length = _ape_length(head)
    elif head.startswith(b"TAG"):
        length = _ID3V1_BYTES
    elif head.startswith((b"HTTP/", b"ICY ")):
        found = _HTTP.match(read_at(source, position, _BLOCK))
        length = found.end() if found else 0
    elif ICY_TITLE.match(head):
        length = 1 + 16 * head[0]
    elif head.startswith(b"\0\0\0\0"):
        length = _after_zeros(source, position, end) - position
    return min(end, position + length)


def id3v2_length(head: bytes) -> int:
    """Return the length of an ID3v2 tag by its first ten bytes; 0 when they are not valid."""
    if len(head) < _ID3_HEADER_BYTES or head[3] == 0xFF or any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return _ID3_HEADER_BYTES * (2 if head[5] & _ID3_FOOTER else 1) + size


def _ape_length(head: bytes) -> int:
    size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
    return size + _APE_BYTES if flags & _APE_IS_HEADER else _APE_BYTES


def _after_zeros(source: Source, position: int, end: int) -> int:
    while position < end:
        data = read_at(source, position, _BLOCK)
        found = _NO_ZERO.search(data)
        if found or not data:
            return position + (found.start() if found else 0)
        position += len(data)
    return end


def before_tags(source: Source, end: int) -> int:
    """Return where the tags at the end of a file begin: ID3v1, APEv2 and Lyrics3."""
    while True:
        shorter = _before_tag(source, end)
        if shorter == end:
            return end
        end = shorter


def _before_tag(source: Source, end: int) -> int:
    tail = read_at(source, max(0, end - _ID3V1_BYTES), min(end, _ID3V1_BYTES))
    if len(tail) < _ID3V1_BYTES:
        return end
    if tail.startswith(b"TAG"):
        return end - _ID3V1_BYTES
    if tail[-_APE_BYTES:].startswith(b"APETAGEX"):
        footer = tail[-_APE_BYTES:]
        size, flags = (
            int.from_bytes(footer[12:16], "little"),
            int.from_bytes(footer[20:24], "little"),
        )
        size += _APE_BYTES if flags & _APE_HAS_HEADER else 0
        return end - size if _APE_BYTES <= size <= end else end
    if tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        return max(0, end - int(tail[-15:-9]) - 15)
    return end
