"""Frames of MPEG audio layer III (ISO 11172-3): their lengths, and a header that counts them."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

HEADER_BYTES: Final = 4
#: Table of bit rates in kbit/s, layer III, by MPEG version 1 and 2 (and 2.5).
_BIT_RATES: Final = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_LAYER_3: Final = 1
_MONO: Final = 3
_COUNTING_TAGS: Final = (b"Xing", b"Info", b"VBRI")
#: A counting tag begins after the side information, of 9 to 36 bytes.
_TAG_REACH: Final = 64
#: Index of a bit rate whose frames hold a counting tag at every sample rate.
_ROOMY: Final = 9
_ID3_HEADER_BYTES: Final = 10
_ID3_FOOTER: Final = 0x10


@dataclass(frozen=True, slots=True)
class Frame:
    """What the header of a frame says.

    Attributes
    ----------
    length
        Of the whole frame, in bytes.
    bit_rate
        In kbit/s.
    side_information
        Number of bytes between header and main data.
    """

    length: int
    bit_rate: int
    side_information: int


def parse_frame(header: bytes) -> Frame | None:
    """Read the header of a layer III frame; ``None`` when it is not one."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version = header[1] >> 3 & 3
    layer = header[1] >> 1 & 3
    bit_rate_index = header[2] >> 4
    sample_rate_index = header[2] >> 2 & 3
    if version == 1 or layer != _LAYER_3 or bit_rate_index in (0, 15) or sample_rate_index == 3:
        return None
    generation = 1 if version == 3 else 2
    bit_rate = _BIT_RATES[generation][bit_rate_index]
    sample_rate = _SAMPLE_RATES[version][sample_rate_index]
    padding = header[2] >> 1 & 1
    length = (144 if generation == 1 else 72) * 1000 * bit_rate // sample_rate + padding
    is_mono = header[3] >> 6 == _MONO
    side_information = (17 if is_mono else 32) if generation == 1 else (9 if is_mono else 17)
    return Frame(length, bit_rate, side_information)


def counted(file: BinaryIO) -> BinaryIO:
    """Return an MP3 with a count of its frames, if it needs one and lacks it.

    A decoder that finds no Xing header takes the length of all frames from the first one, and so
    ends too early or too late where they differ.

    Parameters
    ----------
    file
        An MP3.

    Returns
    -------
    The file itself, or its frames in memory behind a Xing frame; at its beginning.
    """
    start = _after_tags(file)
    file.seek(start)
    head = file.read(_TAG_REACH)
    if parse_frame(head) and not any(tag in head for tag in _COUNTING_TAGS):
        bit_rates = [frame.bit_rate for frame in _frames(file, start)]
        if len(set(bit_rates)) > 1:
            file.seek(start)
            return io.BytesIO(_counting_frame(head, len(bit_rates)) + file.read())
    file.seek(0)
    return file


def _after_tags(file: BinaryIO) -> int:
    """Return the position behind the ID3v2 tags in front."""
    position = 0
    while True:
        file.seek(position)
        tag = file.read(_ID3_HEADER_BYTES)
        if len(tag) < _ID3_HEADER_BYTES or not tag.startswith(b"ID3"):
            return position
        size = sum(
            (byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)
        )
        footer = _ID3_HEADER_BYTES if tag[5] & _ID3_FOOTER else 0
        position += _ID3_HEADER_BYTES + size + footer


def _frames(file: BinaryIO, position: int) -> Iterator[Frame]:
    """Walk over the frames up to the end, or to something else."""
    while True:
        file.seek(position)
        frame = parse_frame(file.read(HEADER_BYTES))
        if frame is None:
            return
        yield frame
        position += frame.length


def _counting_frame(head: bytes, count: int) -> bytes:
    header = bytes((head[0], head[1] | 1, _ROOMY << 4 | head[2] & 0x0C, head[3]))
    frame = parse_frame(header)
    assert frame, "a frame of another bit rate is one too"
    tag = b"Xing" + struct.pack(">II", 1, count)
    return (header + bytes(frame.side_information) + tag).ljust(frame.length, b"\0")
