"""The links of an Ogg chain: each is decoded by a decoder of its own, and may have a title.

Web radios chain one Ogg stream per track (RFC 3533, section 4). ffmpeg on a pipe loses the rest
where the sample rate changes, so the links are told apart here: by their ends, too, for ffmpeg ends
with an error where an Opus link ends before the end of its last packet, as RFC 7845 allows.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from services.receiver.icy import clean_title

_HEADER: Final = 27
_BEGINS: Final = 0x02
_ENDS: Final = 0x04
#: A page has at most 255 segments of 255 bytes.
_MAX_PAGE: Final = _HEADER + 255 + 255 * 255
#: Comments are looked for in so much of a link's start; pictures may follow.
_COMMENT_BYTES: Final = 16 * 1024
_MAX_COMMENTS: Final = 200
_MARKS: Final = (b"\x03vorbis", b"OpusTags", b"\x84\x00\x00", b"\x04\x00\x00")


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one link.

    Attributes
    ----------
    data
        Whole pages.
    begins
        Whether they begin a new link.
    ends
        Whether their link ends with them.
    """

    data: bytes
    begins: bool = False
    ends: bool = False


@dataclass
class LinkSplitter:
    """Splits a stream of bytes at the borders of links; holds at most one page."""

    _rest: bytes = b""
    _in_headers: bool = True
    _under_way: int = 0
    _start: bytearray = field(default_factory=bytearray)
    _title: str | None = None

    def feed(self, data: bytes) -> list[Piece]:
        """Return the whole pages, those of a new link apart; what is no page is passed over."""
        self._rest += data
        pieces, begin, place = list[Piece](), 0, 0
        buffer = self._rest
        out = bytearray()
        while True:
            place = buffer.find(b"OggS", begin)
            if place < 0:
                self._rest = buffer[-3:] if len(buffer) - begin >= 3 else buffer[begin:]
                break
            length = _page_bytes(buffer, place)
            if length is None or place + length > len(buffer):
                self._rest = buffer[place:]
                break
            page = buffer[place : place + length]
            if self._is_new_link(page):
                if out:
                    pieces.append(Piece(bytes(out)))
                pieces.append(Piece(page, begins=True))
                out = bytearray()
            else:
                out += page
            if self._is_end_of_link(page):
                pieces.append(Piece(bytes(out), ends=True))
                out = bytearray()
            self._look_for_comments(page)
            begin = place + length
        if out:
            pieces.append(Piece(bytes(out)))
        return pieces

    def _is_new_link(self, page: bytes) -> bool:
        """Tell whether a page is the first of a link: several logical streams begin together."""
        begins = bool(page[5] & _BEGINS)
        new = begins and not self._in_headers
        self._in_headers = begins
        if new:
            self._start.clear()
            self._under_way = 0  # the link before may have been cut
        return new

    def _is_end_of_link(self, page: bytes) -> bool:
        """Tell whether a page is the last of the last logical stream of its link."""
        self._under_way += bool(page[5] & _BEGINS) - bool(page[5] & _ENDS)
        return bool(page[5] & _ENDS) and not self._under_way

    def _look_for_comments(self, page: bytes) -> None:
        if len(self._start) >= _COMMENT_BYTES:
            return
        self._start += page[_HEADER + page[26] :]
        title = comment_title(bytes(self._start))
        if title:
            self._title = title
            self._start.extend(bytes(_COMMENT_BYTES))

    def take_title(self) -> str | None:
        """Return the title that came since the last call, if one did."""
        title, self._title = self._title, None
        return title


def _page_bytes(buffer: bytes, place: int) -> int | None:
    """Return the length of the page there, ``None`` while that is not known yet."""
    if len(buffer) < place + _HEADER:
        return None
    segments = buffer[place + 26]
    if len(buffer) < place + _HEADER + segments:
        return None
    return _HEADER + segments + sum(buffer[place + _HEADER : place + _HEADER + segments])


def comment_title(start: bytes) -> str | None:
    """Return ``artist - title`` of the Vorbis comments in the first bytes of a link."""
    for mark in _MARKS[:2]:
        place = start.find(mark)
        if place >= 0:
            return _title_of(_comments(start, place + len(mark)))
    if b"\x7fFLAC" in start[:64]:
        place = start.find(b"fLaC")  # 34 bytes of STREAMINFO with a header of 4 follow
        return _title_of(_comments(start, place + 4 + 38 + 4)) if place >= 0 else None
    return None


def _comments(data: bytes, place: int) -> dict[str, str]:
    found = dict[str, str]()
    try:
        (vendor,) = struct.unpack_from("<I", data, place)
        (count,) = struct.unpack_from("<I", data, place + 4 + vendor)
        place += 8 + vendor
        for _ in range(min(count, _MAX_COMMENTS)):
            (length,) = struct.unpack_from("<I", data, place)
            text = data[place + 4 : place + 4 + length]
            if len(text) < length:
                break
            key, _, value = text.decode(errors="replace").partition("=")
            found.setdefault(key.upper(), value)
            place += 4 + length
    except struct.error:
        pass
    return found


def _title_of(comments: dict[str, str]) -> str | None:
    parts = [comments.get(name, "").strip() for name in ("ARTIST", "TITLE")]
    return clean_title(" - ".join(part for part in parts if part)) or None
