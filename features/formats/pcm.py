"""Raw PCM, named by its content type."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.formats.audio import Audio, check_samples, check_shape, downmix
from schemas.errors import AudioTooLong, CorruptAudio, UnsupportedAudio

PCM_TYPES: Final = ("audio/l16", "audio/pcm")
_DTYPES: Final = {"s16le": "<i2", "s16be": ">i2", "f32le": "<f4"}


@dataclass(frozen=True, slots=True)
class PcmShape:
    """What a content type says of raw PCM: the rate in Hz, the channels, the encoding."""

    sample_rate: int
    channels: int
    encoding: str

    @property
    def dtype(self) -> "np.dtype[np.int16] | np.dtype[np.float32]":
        """Of a sample of one channel."""
        return np.dtype(_DTYPES[self.encoding])

    @property
    def frame_bytes(self) -> int:
        """Bytes of a sample of all channels."""
        return self.dtype.itemsize * self.channels


def pcm_shape(content_type: str | None) -> PcmShape | None:
    """Read the content type of raw PCM; ``None`` for that of a container, or none.

    Raises
    ------
    UnsupportedAudio
        It leaves out what must be known, or a value is out of range.
    """
    kind, parameters = parse_content_type(content_type)
    if kind not in PCM_TYPES:
        return None
    sample_rate = _integer(parameters, "rate", None if kind == "audio/pcm" else 44_100)
    channels = _integer(parameters, "channels", 1)
    check_shape(sample_rate, channels)
    encoding = "s16be" if kind == "audio/l16" else parameters.get("encoding", "s16le")
    if encoding not in _DTYPES:
        raise UnsupportedAudio(
            f"PCM encoding {encoding[:40]!r} is not supported: use s16le or f32le"
        )
    return PcmShape(sample_rate, channels, encoding)


def parse_content_type(content_type: str | None) -> tuple[str, dict[str, str]]:
    """Return the media type and its parameters, in lower case."""
    kind, *parameters = (content_type or "").lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip(), {name.strip(): value.strip(' "') for name, _, value in pairs}


def decode_pcm(data: bytes, shape: PcmShape, max_seconds: float) -> Audio:
    """Decode raw PCM; the errors are those of `features.decode`.

    Less than one frame is no error but audio of no samples, as a stream that is cut anywhere has.
    """
    if len(data) % shape.frame_bytes:
        raise CorruptAudio(
            f"{len(data)} bytes are no whole number of frames of {shape.channels} x "
            f"{shape.dtype.itemsize} bytes: send the rest of the last frame too, or give the "
            "messages of a stream one key, so that the next one goes on with it"
        )
    frames = np.frombuffer(data, shape.dtype).reshape(-1, shape.channels)
    if len(frames) > max_seconds * shape.sample_rate:
        raise AudioTooLong(
            f"{len(frames) / shape.sample_rate:.0f} s of PCM, at most {max_seconds:g} s in one "
            "message: send it in shorter chunks"
        )
    samples = downmix(_scaled(frames))
    return Audio(check_samples(samples) if len(samples) else samples, shape.sample_rate)


def _scaled(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Return samples with full scale at 1."""
    scaled = frames.astype(np.float32)
    return scaled / np.float32(32768.0) if frames.dtype.kind == "i" else scaled


def _integer(parameters: dict[str, str], name: str, default: int | None) -> int:
    text = parameters.get(name)
    if text is None and default is not None:
        return default
    if text is None or len(text) > 9 or not text.isascii() or not text.isdigit():
        raise UnsupportedAudio(
            f"content-type parameter {name}={(text or '')[:40]!r}: raw PCM needs {name}=<integer>"
        )
    return int(text)
