"""Whole FLAC files at once, by dr_flac (miniaudio): half the time that libsndfile needs.

Only files whose audio is whole are taken, of which both make the same samples. All others are left
to libsndfile, whose errors say what is wrong: dr_flac passes over what it cannot read, and over
what follows the last frame.
"""

import re
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

try:
    import miniaudio
except ImportError:  # there is no wheel for every platform
    miniaudio = None

#: Magic and first metadata block, STREAMINFO, of which the last 34 bytes are the content.
HEAD_BYTES: Final = 42

#: Samples of all channels together, and bytes, at most: both are in memory twice.
_MAX_SAMPLES: Final = 1 << 22
_MAX_BYTES: Final = 1 << 25
_MAGIC: Final = b"fLaC"
_STREAMINFO: Final = b"\0\0\0\x22"
_LAST_METADATA: Final = b"\x80\0\0\x22"
#: Of a frame, in a stream whose blocks have one size. Two bytes later comes its number.
_SYNC: Final = b"\xff\xf8"
_MIN_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a FLAC says of itself (RFC 9639, 8.2).

    Attributes
    ----------
    block_size
        Samples of a channel in each frame but the last.
    sample_rate
        In Hz.
    channels
        How many there are.
    samples
        Of a channel.
    """

    block_size: int
    sample_rate: int
    channels: int
    samples: int


def stream_info(data: bytes) -> StreamInfo | None:
    """Read the head of a FLAC; ``None`` if it is none, or has blocks of different sizes."""
    is_flac = data.startswith(_MAGIC) and data[4:8] in (_STREAMINFO, _LAST_METADATA)
    smallest, largest = int.from_bytes(data[8:10]), int.from_bytes(data[10:12])
    if len(data) < HEAD_BYTES or not is_flac or not _MIN_BLOCK <= smallest == largest:
        return None
    bits = int.from_bytes(data[18:26])
    return StreamInfo(smallest, bits >> 44, (bits >> 41 & 7) + 1, bits & (1 << 36) - 1)


def decode_flac(file: BinaryIO, info: StreamInfo) -> NDArray[np.float32] | None:
    """Decode a FLAC that is small, sound and complete, with nothing behind its last frame.

    Parameters
    ----------
    file
        The file, at its beginning.
    info
        What `stream_info` read of it.

    Returns
    -------
    Samples, full scale at 1 [shape=(n, channels)]; ``None`` when libsndfile is to decide.
    """
    if miniaudio is None or not 0 < info.samples * info.channels <= _MAX_SAMPLES:
        return None
    data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES or not _ends_with_last_frame(data, info):
        return None
    frames = _read(data)
    expected = (info.sample_rate, info.channels, info.samples)
    if frames is None or (frames.sample_rate, frames.nchannels, frames.num_frames) != expected:
        return None
    return np.frombuffer(frames.samples, np.float32).reshape(-1, info.channels)


def _ends_with_last_frame(data: bytes, info: StreamInfo) -> bool:
    """Tell whether the last frame is whole, and is not without the last byte.

    dr_flac stops after as many samples as the head states, and would pass over whatever is behind.
    """
    number = (info.samples - 1) // info.block_size
    coded = chr(number).encode(errors="surrogatepass")  # frames are numbered as UTF-8 is coded
    last = re.compile(_SYNC + b".." + re.escape(coded), re.DOTALL).search(data, HEAD_BYTES)
    if last is None:
        return False
    head = _MAGIC + _LAST_METADATA + data[8:HEAD_BYTES]
    whole, short = _read(head + data[last.start() :]), _read(head + data[last.start() : -1])
    rest = info.samples - number * info.block_size
    return whole is not None and whole.num_frames == rest and not (short and short.num_frames)


def _read(data: bytes) -> "miniaudio.DecodedSoundFile | None":
    try:
        return miniaudio.flac_read_f32(data)
    except miniaudio.MiniaudioError:
        return None
