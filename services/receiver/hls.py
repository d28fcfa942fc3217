"""Media playlists of HLS (RFC 8216), as far as a radio needs them; and titles in ID3 tags.

Titles come as timed ID3 in MPEG-TS (a PES of stream type 0x15), in ``emsg`` boxes of fMP4, or at
the start of a segment of packed audio.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from services.receiver.icy import clean_title
from services.receiver.reasons import failed

#: Playlists with a day of segments are told apart from those without an end.
MAX_MEDIA_PLAYLIST_BYTES: Final = 4 * 1024 * 1024
#: A day of segments of 2 s has 43,200.
MAX_SEGMENTS: Final = 50_000
MAX_SEGMENT_BYTES: Final = 8 * 1024 * 1024
_LONGEST_SECONDS: Final = 60.0
_URI: Final = re.compile(r'URI="([^"]*)"')
_RANGE: Final = re.compile(r"(\d{1,15})(?:@(\d{1,15}))?")
_PACKET: Final = 188
_ID3_STREAM: Final = 0x15
_MAX_FRAMES: Final = 200
_VERSIONS: Final = (b"\2", b"\3", b"\4")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes to fetch: an address and, in it, first byte and number; the whole of it without."""

    url: str
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment.

    Attributes
    ----------
    sequence
        Its number in the stream.
    part, header
        Where it is, and what a decoder needs before it (fMP4).
    seconds
        Its length, as the playlist says.
    breaks
        Whether it does not go on where the one before ended.
    """

    sequence: int
    part: Part
    header: Part | None
    seconds: float
    breaks: bool = False


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """A playlist of segments.

    Attributes
    ----------
    target_seconds
        How long segments are at most, and how often it changes.
    ended
        Nothing will be added.
    encrypted
        The method, where it is one.
    """

    segments: tuple[Segment, ...]
    target_seconds: float
    ended: bool
    encrypted: str | None = None

    def following(self, sequence: int | None) -> tuple[Segment, ...]:
        """Return the segments from a number on; at first the last three, or all where it ended."""
        if sequence is None:
            return self.segments if self.ended else self.segments[-3:]
        if self.segments and self.segments[-1].sequence < sequence - 1:  # it was begun anew
            return self.segments[-3:]
        return tuple(one for one in self.segments if one.sequence >= sequence)


def parse_media_playlist(text: str, base: str) -> MediaPlaylist:
    """Read a media playlist; addresses are relative to its own.

    Raises
    ------
    SourceFailed
        A number in it is none, or it has more than `MAX_SEGMENTS`.
    """
    try:
        return _Reading(base).read(text)
    except (ValueError, OverflowError) as error:
        raise failed("bad-playlist", "a number in it is none") from error


class _Reading:
    """Reads a playlist line by line."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._segments: list[Segment] = []
        self._target = 6.0
        self._sequence = 0
        self._seconds = 0.0
        self._range: str | None = None
        self._range_end = 0
        self._header: Part | None = None
        self._breaks = False
        self._ended = False
        self._encrypted: str | None = None

    def read(self, text: str) -> MediaPlaylist:
        for line in map(str.strip, text.splitlines()):
            if line.startswith("#"):
                name, _, value = line.partition(":")
                self._take_tag(name, value)
            elif line:
                self._take_address(line)
        return MediaPlaylist(tuple(self._segments), self._target, self._ended, self._encrypted)

    def _take_tag(self, name: str, value: str) -> None:
        match name:
            case "#EXT-X-TARGETDURATION":
                self._target = min(_LONGEST_SECONDS, max(0.5, float(value)))
            case "#EXT-X-MEDIA-SEQUENCE":
                self._sequence = int(value[:18])
            case "#EXTINF":
                self._seconds = min(_LONGEST_SECONDS, max(0.0, float(value.partition(",")[0])))
            case "#EXT-X-BYTERANGE":
                self._range = value
            case "#EXT-X-MAP":
                self._header = self._map(value)
            case "#EXT-X-DISCONTINUITY":
                self._breaks = True
            case "#EXT-X-ENDLIST":
                self._ended = True
            case "#EXT-X-KEY":
                method = re.search(r"METHOD=([\w-]+)", value)
                if method and method.group(1) != "NONE":
                    self._encrypted = method.group(1)

    def _map(self, value: str) -> Part | None:
        found = _URI.search(value)
        if not found:
            return None
        span = re.search(r'BYTERANGE="([^"]*)"', value)
        return Part(urljoin(self._base, found.group(1)), _span(span.group(1), 0) if span else None)

    def _take_address(self, line: str) -> None:
        span = _span(self._range, self._range_end) if self._range else None
        self._range_end = sum(span) if span else 0
        part = Part(urljoin(self._base, line), span)
        if len(self._segments) >= MAX_SEGMENTS:
            raise failed("bad-playlist", f"it has more than {MAX_SEGMENTS} segments")
        number = self._sequence + len(self._segments)
        self._segments.append(Segment(number, part, self._header, self._seconds, self._breaks))
        self._range, self._breaks = None, False


def _span(text: str, follows: int) -> tuple[int, int]:
    """Read ``number@first``; without the first byte it follows the segment before."""
    found = _RANGE.match(text)
    if not found:
        raise ValueError(text)
    return int(found.group(2)) if found.group(2) else follows, int(found.group(1))


def segment_titles(data: bytes) -> list[str]:
    """Return the titles in a segment, in their order."""
    if data[:3] == b"ID3":
        tags: Iterator[bytes] = iter([data])
    elif data[:1] == b"\x47":
        tags = _transport_tags(data)
    else:
        tags = _event_tags(data)
    return [title for title in map(id3_title, tags) if title]


def without_tags(data: bytes) -> bytes:
    """Return a segment of packed audio without the tags at its start; others as they are."""
    while data[:3] == b"ID3" and len(data) >= 10:
        data = data[10 + _synchsafe(data[6:10]) :]
    return data


def _transport_tags(data: bytes) -> Iterator[bytes]:
    """Yield the ID3 tags of an MPEG transport stream (ISO 13818-1; Apple's timed metadata)."""
    tables, metadata, found = set[int](), set[int](), dict[int, bytearray]()
    for place in range(0, len(data) - _PACKET + 1, _PACKET):
        packet = data[place : place + _PACKET]
        if packet[0] != 0x47:
            return
        pid, starts = (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40)
        payload = _payload(packet)
        if pid == 0 and starts:
            tables |= _program_tables(payload)
        elif pid in tables and starts:
            metadata |= _metadata_streams(payload)
        elif pid in metadata:
            if starts:
                if pid in found:
                    yield _tag_of(found[pid])
                found[pid] = bytearray()
            if pid in found:
                found[pid] += payload
    yield from map(_tag_of, found.values())


def _payload(packet: bytes) -> bytes:
    control = packet[3] >> 4 & 3
    if not control & 1:
        return b""
    return packet[5 + packet[4] :] if control & 2 else packet[4:]


def _section(payload: bytes) -> bytes:
    """Return what stands in a table between its head of 8 bytes and its checksum."""
    start = 1 + payload[0] if payload else 0
    if len(payload) < start + 8:
        return b""
    length = (payload[start + 1] & 0x0F) << 8 | payload[start + 2]
    return payload[start + 8 : start + 3 + length - 4]


def _program_tables(payload: bytes) -> set[int]:
    rows = _section(payload)
    return {
        (rows[i + 2] & 0x1F) << 8 | rows[i + 3]
        for i in range(0, len(rows) - 3, 4)
        if rows[i : i + 2] != b"\0\0"
    }


def _metadata_streams(payload: bytes) -> set[int]:
    rows = _section(payload)
    if len(rows) < 4:
        return set()
    place, found = 4 + ((rows[2] & 0x0F) << 8 | rows[3]), set[int]()
    while place + 5 <= len(rows):
        if rows[place] == _ID3_STREAM:
            found.add((rows[place + 1] & 0x1F) << 8 | rows[place + 2])
        place += 5 + ((rows[place + 3] & 0x0F) << 8 | rows[place + 4])
    return found


def _tag_of(pes: bytearray) -> bytes:
    return bytes(pes[9 + pes[8] :]) if len(pes) > 9 else b""


def _event_tags(data: bytes) -> Iterator[bytes]:
    """Yield the ID3 tags in ``emsg`` boxes (ISO 23009-1) of fMP4."""
    place = 0
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if length < 8:
            return
        if data[place + 4 : place + 8] == b"emsg":
            tag = data.find(b"ID3", place + 8, place + length)
            while tag >= 0 and data[tag + 3 : tag + 4] not in _VERSIONS:  # the scheme is called so
                tag = data.find(b"ID3", tag + 3, place + length)
            if tag >= 0:
                yield data[tag : place + length]
        place += length


def id3_title(tag: bytes) -> str | None:
    """Return ``artist - title`` of an ID3v2 tag; ``None`` where it has no title.

    See id3.org/id3v2.4.0-frames, section 4.2.
    """
    if tag[:3] != b"ID3" or len(tag) < 20:
        return None
    plain = tag[3] < 4
    end = min(len(tag), 10 + _synchsafe(tag[6:10]))
    place, found = 10, dict[bytes, str]()
    for _ in range(_MAX_FRAMES):
        if place + 10 > end or not tag[place]:
            break
        size = tag[place + 4 : place + 8]
        length = int.from_bytes(size) if plain else _synchsafe(size)
        body = tag[place + 10 : min(end, place + 10 + length)]
        found.setdefault(tag[place : place + 4], _text(body))
        place += 10 + length
    parts = (found.get(b"TPE1", ""), found.get(b"TIT2", ""))
    return clean_title(" - ".join(part for part in parts if part)) if parts[1] else None


def _text(body: bytes) -> str:
    encodings = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}
    encoding = encodings.get(body[0] if body else 0, "latin-1")
    return body[1:2000].decode(encoding, "replace").partition("\0")[0].strip()


def _synchsafe(size: bytes) -> int:
    number = 0
    for byte in size:
        number = number << 7 | (byte & 0x7F)
    return number
