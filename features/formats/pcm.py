"""Raw PCM, named by its content type."""

from typing import Final

import numpy as np

from features.formats.audio import Audio, check_samples, check_shape, downmix
from schemas.errors import AudioTooLong, CorruptAudio, UnsupportedAudio

PCM_TYPES: Final = ("audio/l16", "audio/pcm")
_DTYPES: Final = {"s16le": "<i2", "s16be": ">i2", "f32le": "<f4"}


def decode_pcm(
    data: bytes, media_type: str, parameters: dict[str, str], max_seconds: float
) -> Audio:
    """Decode raw PCM; the errors are those of `features.decode`."""
    sample_rate = _integer(parameters, "rate", None if media_type == "audio/pcm" else 44_100)
    channels = _integer(parameters, "channels", 1)
    check_shape(sample_rate, channels)
    encoding = "s16be" if media_type == "audio/l16" else parameters.get("encoding", "s16le")
    if encoding not in _DTYPES:
        raise UnsupportedAudio(
            f"PCM encoding {encoding[:40]!r} is not supported: use s16le or f32le"
        )
    dtype = np.dtype(_DTYPES[encoding])
    if len(data) % (dtype.itemsize * channels):
        raise CorruptAudio(
            f"{len(data)} bytes are no whole number of frames of {channels} x {dtype.itemsize} "
            "bytes: cut raw PCM between frames"
        )
    frames = np.frombuffer(data, dtype).reshape(-1, channels)
    if len(frames) > max_seconds * sample_rate:
        raise AudioTooLong(
            f"{len(frames) / sample_rate:.0f} s of PCM, at most {max_seconds:g} s in one message: "
            "send it in shorter chunks"
        )
    if dtype.kind == "i":
        scaled = frames.astype(np.float32) / np.float32(32768.0)
    else:
        scaled = frames.astype(np.float32)
    return Audio(check_samples(downmix(scaled)), sample_rate)


def _integer(parameters: dict[str, str], name: str, default: int | None) -> int:
    text = parameters.get(name)
    if text is None and default is not None:
        return default
    if text is None or len(text) > 9 or not text.isascii() or not text.isdigit():
        raise UnsupportedAudio(
            f"content-type parameter {name}={(text or '')[:40]!r}: raw PCM needs {name}=<integer>"
        )
    return int(text)
