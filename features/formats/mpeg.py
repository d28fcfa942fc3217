"""Headers of MPEG audio frames (ISO 11172-3, 13818-3, and 2.5): layers I to III, all versions."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

HEADER_BYTES: Final = 4
#: No frame is longer, whatever its rates.
MAX_FRAME_BYTES: Final = 8_192
#: Bit rates in kbit/s by generation (MPEG 1; MPEG 2 and 2.5) and layer.
_BIT_RATES: Final = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_SAMPLES: Final = {(1, 1): 384, (2, 1): 384, (1, 2): 1152, (2, 2): 1152, (1, 3): 1152, (2, 3): 576}
_MONO: Final = 3
#: Index of a bit rate whose frames hold a counting tag at every sample rate.
_ROOMY: Final = 9
#: A counting tag begins after the side information, of 9 to 36 bytes.
TAG_REACH: Final = 64
_COUNT_FLAG: Final = 1
_VBRI_COUNT: Final = slice(14, 18)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the header of a frame says.

    Attributes
    ----------
    length
        Of the whole frame, in bytes; 0 where the format is free, so that only the next frame tells.
    bit_rate
        In kbit/s.
    side_information
        Number of bytes between header and main data, in layer III.
    samples
        Of a channel.
    kind
        Version, layer, sample rate in Hz and number of channels: a decoder hears one kind.
    padding
        Bytes that this frame has more than others.
    """

    length: int
    bit_rate: int
    side_information: int
    samples: int
    kind: tuple[int, int, int, int]
    padding: int

    @property
    def layer(self) -> int:
        """1, 2 or 3."""
        return self.kind[1]

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.kind[2]


@lru_cache(maxsize=8192)
def parse_frame(header: bytes) -> Frame | None:
    """Read the header of a frame; ``None`` when it is not one."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate_index, sample_rate_index = header[2] >> 4, header[2] >> 2 & 3
    is_reserved = version == 1 or layer == 4 or bit_rate_index == 15 or sample_rate_index == 3
    if is_reserved or header[3] & 3 == 2:  # emphasis 2 is reserved
        return None
    generation = 1 if version == 3 else 2
    bit_rate = _BIT_RATES[generation, layer][bit_rate_index]
    sample_rate = _SAMPLE_RATES[version][sample_rate_index]
    samples = _SAMPLES[generation, layer]
    slot = 4 if layer == 1 else 1
    padding = (header[2] >> 1 & 1) * slot
    length = samples // 8 // slot * 1000 * bit_rate // sample_rate * slot + padding
    is_mono = header[3] >> 6 == _MONO
    side_information = (17 if is_mono else 32) if generation == 1 else (9 if is_mono else 17)
    kind = version, layer, sample_rate, 1 if is_mono else 2
    return Frame(length if bit_rate else 0, bit_rate, side_information, samples, kind, padding)


def counted_frames(data: bytes) -> int | None:
    """Read how many frames a counting tag states.

    Parameters
    ----------
    data
        From the name of the tag on: ``Xing``, ``Info`` or ``VBRI``.

    Returns
    -------
    ``None`` when it states none.
    """
    if data.startswith(b"VBRI"):
        return int.from_bytes(data[_VBRI_COUNT])
    if len(data) < 12 or not data[7] & _COUNT_FLAG:
        return None
    return int.from_bytes(data[8:12])


def counting_frame(head: bytes, count: int) -> bytes:
    """Make a frame that holds no audio and states how many others follow.

    A decoder that finds none takes the length of all frames from the first one, and so ends too
    early or too late where they differ.

    Parameters
    ----------
    head
        Header of one of the frames, of layer III.
    count
        How many there are.
    """
    header = bytes((head[0], head[1] | 1, _ROOMY << 4 | head[2] & 0x0C, head[3]))
    frame = parse_frame(header)
    assert frame, "a frame of another bit rate is one too"
    tag = b"Xing" + struct.pack(">II", 1, count)
    return (header + bytes(frame.side_information) + tag).ljust(frame.length, b"\0")
