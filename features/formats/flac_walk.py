"""Hear a damaged FLAC frame by frame (RFC 9639): all but the frames that are broken.

Every frame says where it stands and carries a checksum, so that what is lost is known exactly.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.formats.flac import read_flac
from features.formats.mpeg_walk import find_mpeg
from features.formats.parts import UNKNOWN, Fault, Part, Survey
from features.formats.signatures import other_container
from features.formats.spliced import Piece, Source, piece, read_at, size_of, splice

_MAGIC: Final = b"fLaC"
_LAST: Final = 0x80
_STREAMINFO_BYTES: Final = 34
_BLOCK_HEADER: Final = 4
_SYNC: Final = re.compile(rb"\xff[\xf8\xf9]")
_READ: Final = 1 << 18
#: A frame is no longer than this: 65,535 samples of 8 channels would be, nobody writes them.
_MAX_FRAME: Final = 1 << 19
_MAX_HEADER: Final = 16
#: Bytes at the end that tell whether other audio follows that has no signature.
_TAIL: Final = 1 << 15
#: Starts of frames that are tried as the end of one: some are found within its samples.
_ENDS: Final = 4
#: What looks like the start of a frame, at the end of a file, that is tried.
_LAST_STARTS: Final = 64
_BLOCK_SIZES: Final = {1: 192, **{n: 576 << n - 2 for n in range(2, 6)}} | {
    n: 256 << n - 8 for n in range(8, 16)
}


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands before the frames: STREAMINFO, and where the first frame is."""

    stream_info: bytes
    first_frame: int

    @property
    def block_size(self) -> int:
        return int.from_bytes(self.stream_info[2:4])

    @property
    def sample_rate(self) -> int:
        return int.from_bytes(self.stream_info[10:14]) >> 12

    @property
    def channels(self) -> int:
        return (self.stream_info[12] >> 1 & 7) + 1

    @property
    def samples(self) -> int:
        """Of a channel, or 0 where it is not stated."""
        return int.from_bytes(self.stream_info[13:18]) & (1 << 36) - 1

    @property
    def bytes(self) -> bytes:
        """A head of a file with these frames alone."""
        return _MAGIC + bytes((_LAST, 0, 0, _STREAMINFO_BYTES)) + self.stream_info


@dataclass(frozen=True, slots=True)
class _Found:
    """A frame: its place, its first sample in the stream, and how many it has a channel."""

    position: int
    first: int
    samples: int


def walk_flac(source: Source, position: int, end: int, survey: Survey) -> int:
    """Note a FLAC; return where it ends: at another container, or the end of the file."""
    stop = other_container(source, position + _BLOCK_HEADER, end)
    if find_mpeg(source, max(position, stop - _TAIL), stop) is not None:
        stop = find_mpeg(source, position, stop) or stop
    is_whole = position == 0 and stop == end == size_of(source)
    whole = source if is_whole else splice([Piece(source, position, stop - position)])
    samples = int.from_bytes(read_at(source, position, 26)[21:26]) & (1 << 36) - 1
    there = _last_sample(whole) if samples else 0
    if there > samples:
        what = f"the head states {samples} samples, {there} are there: all are heard"
        survey.faults.append(Fault(position, 0, what))
        whole, samples = _without_length(whole), 0
    survey.parts.append(Part("flac", whole, position, samples or UNKNOWN))
    return stop


def _last_sample(source: Source) -> int:
    """Return where the last frame ends, in samples of a channel; 0 where it is not whole."""
    head, size = read_head(source), size_of(source)
    if head is None:
        return 0
    start = max(head.first_frame, size - _MAX_FRAME)
    tail = read_at(source, start, size - start)
    for place in reversed([found.start() for found in _SYNC.finditer(tail)][-_LAST_STARTS:]):
        frame = _frame(tail, place, head)
        if frame is None:
            continue
        data = head.bytes + tail[place:]
        if read_flac(data, head.sample_rate, head.channels, frame[1]) is not None:
            return sum(frame)
    return 0


def _without_length(source: Source) -> Source:
    """Return a FLAC whose head does not state how long it is."""
    head = read_head(source)
    assert head, "its last frame was decoded by it"
    info = head.stream_info
    unstated = replace(
        head, stream_info=info[:13] + bytes((info[13] & 0xF0,)) + bytes(4) + info[18:]
    )
    rest = Piece(source, head.first_frame, size_of(source) - head.first_frame)
    return splice([piece(unstated.bytes), rest])


def find_flac_frames(source: Source) -> int | None:
    """Find where frames of a FLAC begin whose head is missing: two that are numbered in order."""
    data = read_at(source, 0, _READ)
    anonymous = _Head(bytes(2) + b"\0\1" + bytes(_STREAMINFO_BYTES - 4), 0)
    before: tuple[int, int] | None = None
    for found in _SYNC.finditer(data):
        frame = _frame(data, found.start(), anonymous)
        if frame is None:
            continue
        step = 1 if not data[found.start() + 1] & 1 else frame[1]
        if before is not None and frame[0] == before[0] + step:
            return before[1]
        before = frame[0], found.start()
    return None


def read_head(source: Source) -> _Head | None:
    """Read what stands before the frames; ``None`` where that is broken."""
    place, info = len(_MAGIC), b""
    while True:
        header = read_at(source, place, _BLOCK_HEADER)
        if len(header) < _BLOCK_HEADER or header[0] & 0x7F > 6:
            break
        if header[0] & 0x7F == 0 and not info:
            info = source.read(_STREAMINFO_BYTES)
        place += _BLOCK_HEADER + int.from_bytes(header[1:])
        if header[0] & _LAST:
            break
    if len(info) < _STREAMINFO_BYTES or not any(info[10:13]):
        return None
    size = size_of(source)
    return _Head(info, place if place < size else len(_MAGIC) + _BLOCK_HEADER + _STREAMINFO_BYTES)


class FlacFrames:
    """The frames of a FLAC from some sample on, each decoded by itself.

    Attributes
    ----------
    faults
        What was left out so far.
    """

    def __init__(self, source: Source, heard: int, at: int) -> None:
        self._source, self._heard, self._at = source, heard, at
        self._head = read_head(source)
        self._size = size_of(source)
        self.faults: list[Fault] = []

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of each frame that is sound [shape=(n, channels)]."""
        head = self._head
        if head is None:
            return
        expected = self._heard
        starts = list(self._starts(head))
        number = 0
        while number < len(starts):
            frame = starts[number]
            samples, used = self._decode(head, starts, number)
            number += used
            if samples is None or frame.first < expected:
                continue
            if frame.first > expected:
                self._lose(frame.position, frame.first - expected, head)
            expected = frame.first + len(samples)
            yield samples
        if head.samples > expected:
            self._lose(self._size, head.samples - expected, head)

    def _lose(self, position: int, samples: int, head: _Head) -> None:
        seconds = samples / head.sample_rate
        what = "FLAC breaks off" if position == self._size else "broken frames of FLAC"
        self.faults.append(Fault(self._at + position, 0, what, seconds))

    def _starts(self, head: _Head) -> Iterator[_Found]:
        """Yield what looks like the start of a frame of this stream, by its header's checksum."""
        place = head.first_frame
        while place < self._size:
            data = read_at(self._source, place, _READ + _MAX_HEADER)
            for found in _SYNC.finditer(data, 0, min(_READ + 1, len(data))):
                frame = _frame(data, found.start(), head)
                if frame:
                    yield _Found(place + found.start(), *frame)
            place += _READ

    def _decode(
        self, head: _Head, starts: list[_Found], number: int
    ) -> tuple[NDArray[np.float32] | None, int]:
        """Decode the frame here; return how many starts it spans."""
        frame = starts[number]
        ends = [found.position for found in starts[number + 1 : number + 1 + _ENDS]]
        if len(ends) < _ENDS:
            ends.append(self._size)
        for used, end in enumerate(ends, start=1):
            if end - frame.position > _MAX_FRAME:
                break
            data = read_at(self._source, frame.position, end - frame.position)
            samples = read_flac(head.bytes + data, head.sample_rate, head.channels, frame.samples)
            if samples is not None:
                return samples, used
        return None, 1


def _frame(data: bytes, start: int, head: _Head) -> tuple[int, int] | None:
    """Read the header of a frame: its first sample and its number of samples."""
    header = data[start : start + _MAX_HEADER]
    if len(header) < 6 or header[3] & 1 or header[2] >> 4 == 0 or header[2] & 0xF == 0xF:
        return None
    number, place = _coded_number(header)
    if number is None:
        return None
    size_code, rate_code = header[2] >> 4, header[2] & 0xF
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    end = place + size_bytes + rate_bytes
    if end >= len(header) or _crc8(header[:end]) != header[end]:
        return None
    if size_bytes:
        samples = int.from_bytes(header[place : place + size_bytes]) + 1
    else:
        samples = _BLOCK_SIZES.get(size_code, 0)
    is_fixed = not header[1] & 1
    first = number * head.block_size if is_fixed else number
    return (first, samples) if 0 < samples <= max(head.block_size, samples) else None


def _coded_number(header: bytes) -> tuple[int | None, int]:
    """Read the number of a frame, coded as UTF-8 is, and return the place behind it."""
    lead = header[4]
    if lead < 0x80:
        return lead, 5
    length = 8 - (lead ^ 0xFF).bit_length()
    if not 2 <= length <= 7 or len(header) < 4 + length:
        return None, 0
    number = lead & (0x7F >> length)
    for byte in header[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return None, 0
        number = number << 6 | byte & 0x3F
    return number, 4 + length


@lru_cache(maxsize=1)
def _crc8_table() -> tuple[int, ...]:
    def crc(value: int) -> int:
        for _ in range(8):
            value = (value << 1 ^ 0x107 if value & 0x80 else value << 1) & 0xFF
        return value

    return tuple(crc(value) for value in range(256))


def _crc8(data: bytes) -> int:
    table, value = _crc8_table(), 0
    for byte in data:
        value = table[value ^ byte]
    return value


def as_integers(frames: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return samples as the integers that they were [shape=(n, channels)]."""
    scale = 32768.0 if dtype == "int16" else 2147483648.0
    return (frames.astype(np.float64) * scale).astype(dtype)
