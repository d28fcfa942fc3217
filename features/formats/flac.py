"""Whole FLAC files at once, by dr_flac (miniaudio): half the time that libsndfile needs.

Only files that look whole are taken, of which both make the same samples. All others are left to
libsndfile, whose errors say what is wrong: dr_flac passes over what it cannot read, and over what
follows the last frame.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.formats.spliced import Source

#: Magic and first metadata block, STREAMINFO, of which the last 34 bytes are the content.
HEAD_BYTES: Final = 42

#: Samples of all channels together, and bytes, at most: both are in memory twice.
_MAX_SAMPLES: Final = 1 << 22
_MAX_BYTES: Final = 1 << 25
#: Samples in a file at most, as if every sync code in it began a frame.
_MAX_WORK: Final = 1 << 24
_MAGIC: Final = b"fLaC"
_STREAMINFO: Final = b"\0\0\0\x22"
_LAST_METADATA: Final = b"\x80\0\0\x22"
#: Of a frame, in a stream whose blocks have one size. Two bytes later comes its number.
_SYNC: Final = b"\xff\xf8"
#: Of a frame in a stream whose blocks have different sizes.
_OTHER_SYNC: Final = b"\xff\xf9"
_MIN_BLOCK: Final = 16
#: Bits of a sample that libsndfile knows.
_DEPTHS: Final = (8, 16, 24)


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
    """Read the head of a FLAC; ``None`` if it is none, or not one for `decode_flac`."""
    is_flac = data.startswith(_MAGIC) and data[4:8] in (_STREAMINFO, _LAST_METADATA)
    smallest, largest = int.from_bytes(data[8:10]), int.from_bytes(data[10:12])
    if len(data) < HEAD_BYTES or not is_flac or not _MIN_BLOCK <= smallest == largest:
        return None
    bits = int.from_bytes(data[18:26])
    sample_rate, depth = bits >> 44, (bits >> 36 & 31) + 1
    if not sample_rate or depth not in _DEPTHS:
        return None
    return StreamInfo(smallest, sample_rate, (bits >> 41 & 7) + 1, bits & (1 << 36) - 1)


def decode_flac(file: Source, info: StreamInfo) -> NDArray[np.float32] | None:
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
    if _dr_flac() is None or not 0 < info.samples * info.channels <= _MAX_SAMPLES:
        return None
    data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES or _is_too_much(data, info) or not _ends_with_last_frame(data, info):
        return None
    return _read(data, (info.sample_rate, info.channels, info.samples))


def _is_too_much(data: bytes, info: StreamInfo) -> bool:
    """Tell whether dr_flac could be busy for long.

    It goes through all frames, those that it drops too, until it has the samples that are stated.
    """
    frames = _MAX_WORK // (info.block_size * info.channels)
    if data.count(_SYNC[:1]) <= frames:  # ten times as fast as to count pairs of bytes
        return False
    return data.count(_SYNC) + data.count(_OTHER_SYNC) > frames


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
    rest = info.samples - number * info.block_size
    if _frame_count(head + data[last.start() :]) != rest:
        return False
    return not _frame_count(head + data[last.start() : -1])


@cache
def _dr_flac() -> Any:
    """Import miniaudio, which takes 0.04 s; there is no wheel for every platform."""
    try:
        import miniaudio
    except ImportError:
        return None
    return miniaudio


@contextmanager
def _opened(data: bytes) -> Iterator[tuple[tuple[int, int, int], Any]]:
    """Decode a FLAC; give its rate, channels and number of samples, and the samples as bytes.

    ``miniaudio.flac_read_f32`` does so, too, and takes three times as long for a single frame.
    """
    lib, ffi = _dr_flac().lib, _dr_flac().ffi
    channels, rate = ffi.new("unsigned int *"), ffi.new("unsigned int *")
    count = ffi.new("ma_dr_flac_uint64 *")
    memory = lib.ma_dr_flac_open_memory_and_read_pcm_frames_f32(
        data, len(data), channels, rate, count, ffi.NULL
    )
    if not memory:
        yield (0, 0, 0), b""
        return
    try:
        size = count[0] * channels[0] * np.dtype(np.float32).itemsize
        yield (rate[0], channels[0], count[0]), ffi.buffer(memory, size)
    finally:
        lib.ma_dr_flac_free(memory, ffi.NULL)


def _frame_count(data: bytes) -> int:
    """Return how many samples of a channel there are; 0 where nothing decodes."""
    with _opened(data) as ((_, _, count), _):
        return count


def _read(data: bytes, shape: tuple[int, int, int]) -> NDArray[np.float32] | None:
    """Decode a FLAC of this rate, and so many channels and samples; ``None`` if it is another."""
    with _opened(data) as (found, samples):
        if found != shape:
            return None
        return np.frombuffer(samples, np.float32).reshape(-1, shape[1]).copy()


def read_flac(
    data: bytes, sample_rate: int, channels: int, samples: int
) -> NDArray[np.float32] | None:
    """Decode a FLAC of one frame, whose checksums are right.

    Parameters
    ----------
    data
        Head and frame.
    sample_rate, channels, samples
        What it must hold.

    Returns
    -------
    Samples, full scale at 1 [shape=(n, channels)]; ``None`` when it is broken.
    """
    if _dr_flac() is None:
        return _read_slowly(data, channels, samples)
    return _read(data, (sample_rate, channels, samples))


def _read_slowly(data: bytes, channels: int, samples: int) -> NDArray[np.float32] | None:
    """Decode one frame by libsndfile."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            frames = sound.read(samples, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, ValueError):
        return None
    return frames if frames.shape == (samples, channels) else None
