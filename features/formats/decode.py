"""Bytes or a file to mono float32 samples, by libsndfile and, where it is sound, FLAC by dr_flac.

Failures are `schemas.errors.AudioError`, with the value, the limit and the remedy in the text.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from features.formats.flac import HEAD_BYTES, decode_flac, stream_info
from features.formats.sound_file import open_sound
from schemas.errors import AudioTooLong, CorruptAudio, InvalidSamples, UnsupportedAudio

Samples = NDArray[np.float32]

MIN_SAMPLE_RATE: Final = 1_000
MAX_SAMPLE_RATE: Final = 384_000
MAX_CHANNELS: Final = 64
#: Decoded seconds of one message at most, whatever it claims: 5 MB of FLAC can hold days.
MAX_SECONDS: Final = 900.0
#: Above this rate and these channels the limit in seconds shrinks, so that it bounds memory and
#: time too.
_FULL_LENGTH_RATE: Final = 48_000
_FULL_LENGTH_CHANNELS: Final = 2
#: Full scale is 1; +36 dB above it is no audio, but for instance int16 values in a float file.
MAX_AMPLITUDE: Final = 64.0

_BLOCK_FRAMES: Final = 1 << 16
_PCM_DTYPES: Final = {"s16le": "<i2", "s16be": ">i2", "f32le": "<f4"}
_CONTAINER_TYPES: Final = frozenset(
    (
        "application/octet-stream",
        "application/ogg",
        "audio/aiff",
        "audio/basic",
        "audio/flac",
        "audio/mp3",
        "audio/mpeg",
        "audio/ogg",
        "audio/opus",
        "audio/vnd.wave",
        "audio/vorbis",
        "audio/wav",
        "audio/wave",
        "audio/x-aiff",
        "audio/x-flac",
        "audio/x-wav",
    )
)
#: Formats whose header states the number of frames, so that a loss can be told.
_COUNTED_FORMATS: Final = frozenset({"FLAC"})
#: Formats that can be bombs. libsndfile finds their length before it decodes anything, and decodes
#: no more than that.
_LENGTH_STATED: Final = frozenset({"FLAC", "OGG", "MP3", "MPEG"})
#: Samples to decode of a FLAC that does not state its length: half a second of work, 6 minutes of
#: mono at 44.1 kHz. 5 MB hold more of silence alone. A limit above the usual one raises it.
_UNSTATED_SAMPLES: Final = 1 << 24
#: What libsndfile reports of a FLAC that was encoded into a pipe and so states no number.
_UNKNOWN_FRAMES: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded audio.

    Attributes
    ----------
    samples
        Mono, full scale at 1 [shape=(n,), float32].
    sample_rate
        In Hz.
    """

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate


def decode(
    data: bytes, content_type: str | None = None, *, max_seconds: float = MAX_SECONDS
) -> Audio:
    """Decode a message: a container that libsndfile reads, or raw PCM named by its content type.

    Parameters
    ----------
    data
        WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF or AU, or raw PCM.
    content_type
        ``audio/L16;rate=…;channels=…`` (big-endian, RFC 3551) or
        ``audio/pcm;rate=…;channels=…;encoding=s16le|f32le`` for raw PCM; of a container it is
        checked, but the first bytes decide.
    max_seconds
        Longest audio to accept.

    Raises
    ------
    UnsupportedAudio
        An unknown content type or container, or a rate or channel count out of range.
    CorruptAudio
        The content does not decode, ends early, or is empty.
    AudioTooLong
        More than `max_seconds`.
    InvalidSamples
        NaN, infinite or absurdly large samples.
    """
    if not data:
        raise CorruptAudio("the message is empty: send audio, or the header final: true")
    media_type, parameters = _parse_content_type(content_type)
    if media_type in ("audio/l16", "audio/pcm"):
        return _decode_pcm(data, media_type, parameters, max_seconds)
    if media_type and media_type not in _CONTAINER_TYPES:
        raise UnsupportedAudio(
            f"content-type {media_type[:40]!r} is not supported: use audio/wav, audio/flac, "
            "audio/ogg, audio/mpeg, audio/L16 or audio/pcm"
        )
    return _decode_container(io.BytesIO(data), max_seconds)


def read_file(path: Path, *, max_seconds: float = 86_400.0) -> Audio:
    """Decode an audio file; same formats, checks and errors as `decode`.

    Raises
    ------
    OSError
        The file cannot be opened.
    """
    with path.open("rb") as file:
        return _decode_container(file, max_seconds)


def downmix(frames: NDArray[np.float32]) -> Samples:
    """Average the channels [shape=(n, channels)] to mono [shape=(n,)].

    Every frame is averaged alone and in channel order, so the result does not depend on where the
    audio was cut into chunks.
    """
    if frames.shape[1] == 1:
        return frames[:, 0]
    total = frames[:, 0].copy()
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are refused later, in words
        for channel in range(1, frames.shape[1]):
            total += frames[:, channel]
    return total / np.float32(frames.shape[1])


def _parse_content_type(content_type: str | None) -> tuple[str, dict[str, str]]:
    media_type, *parameters = (content_type or "").lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return media_type.strip(), {name.strip(): value.strip(' "') for name, _, value in pairs}


def _decode_container(file: BinaryIO, max_seconds: float) -> Audio:
    return _decode_flac(file, max_seconds) or _decode_sound(file, max_seconds)


def _decode_flac(file: BinaryIO, max_seconds: float) -> Audio | None:
    """Decode a FLAC that is sound and short; ``None`` for all else."""
    info = stream_info(file.read(HEAD_BYTES))
    file.seek(0)
    if info is None:
        return None
    check_shape(info.sample_rate, info.channels)
    if info.samples > _frame_limit(info.sample_rate, info.channels, info.samples, max_seconds):
        return None
    frames = decode_flac(file, info)
    return None if frames is None else Audio(_check_samples(downmix(frames)), info.sample_rate)


def _decode_sound(file: BinaryIO, max_seconds: float) -> Audio:
    with open_sound(file) as sound:
        sample_rate = sound.samplerate
        check_shape(sample_rate, sound.channels)
        limit = _frame_limit(sample_rate, sound.channels, sound.frames, max_seconds)
        if sound.format in _LENGTH_STATED and limit < sound.frames < _UNKNOWN_FRAMES:
            raise _too_long(limit, sample_rate)
        claimed = _claimed_frames(sound)
        blocks = _read_blocks(sound, limit)
    if not blocks:
        raise CorruptAudio("the container holds no audio frames")
    samples = np.concatenate(blocks)
    if len(samples) < claimed:
        raise CorruptAudio(
            f"the audio ends after {len(samples)} of {claimed} frames: send each chunk whole"
        )
    return Audio(_check_samples(samples), sample_rate)


def _frame_limit(sample_rate: int, channels: int, claimed: int, max_seconds: float) -> int:
    """Return how many frames to decode at most: as many as are little work, whatever is claimed."""
    frames = max_seconds * min(sample_rate, _FULL_LENGTH_RATE)
    frames *= min(1.0, _FULL_LENGTH_CHANNELS / channels)
    if claimed >= _UNKNOWN_FRAMES:
        samples = _UNSTATED_SAMPLES * max(1.0, max_seconds / MAX_SECONDS)
        frames = min(frames, samples / channels)
    return int(frames)


def _claimed_frames(sound: Any) -> int:
    known = sound.format in _COUNTED_FORMATS and sound.frames < _UNKNOWN_FRAMES
    return int(sound.frames) if known else 0


def _read_blocks(sound: Any, limit: int) -> list[Samples]:
    """Decode and down-mix block by block, so that a bomb is noticed before it fills the memory."""
    blocks: list[Samples] = []
    decoded = 0
    while True:
        frames = sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        if not len(frames):
            return blocks
        decoded += len(frames)
        if decoded > limit:
            raise _too_long(limit, sound.samplerate)
        blocks.append(downmix(frames))


def _too_long(limit: int, sample_rate: int) -> AudioTooLong:
    return AudioTooLong(
        f"the audio decodes to more than {limit / sample_rate:g} s, the limit for such a message "
        f"at {sample_rate} Hz: send it in shorter chunks"
    )


def _decode_pcm(
    data: bytes, media_type: str, parameters: dict[str, str], max_seconds: float
) -> Audio:
    sample_rate = _integer(parameters, "rate", None if media_type == "audio/pcm" else 44_100)
    channels = _integer(parameters, "channels", 1)
    check_shape(sample_rate, channels)
    encoding = "s16be" if media_type == "audio/l16" else parameters.get("encoding", "s16le")
    if encoding not in _PCM_DTYPES:
        raise UnsupportedAudio(
            f"PCM encoding {encoding[:40]!r} is not supported: use s16le or f32le"
        )
    dtype = np.dtype(_PCM_DTYPES[encoding])
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
    return Audio(_check_samples(downmix(scaled)), sample_rate)


def _integer(parameters: dict[str, str], name: str, default: int | None) -> int:
    text = parameters.get(name)
    if text is None and default is not None:
        return default
    if text is None or len(text) > 9 or not text.isascii() or not text.isdigit():
        raise UnsupportedAudio(
            f"content-type parameter {name}={(text or '')[:40]!r}: raw PCM needs {name}=<integer>"
        )
    return int(text)


def check_shape(sample_rate: int, channels: int) -> None:
    """Refuse a sample rate or number of channels out of range.

    Raises
    ------
    UnsupportedAudio
        One is.
    """
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise UnsupportedAudio(
            f"sample rate {sample_rate} Hz is out of range, "
            f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are supported"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise UnsupportedAudio(f"{channels} channels, 1 to {MAX_CHANNELS} are supported")


def _check_samples(samples: Samples) -> Samples:
    peak = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(peak):
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        raise InvalidSamples(f"{bad} of {len(samples)} samples are NaN or infinite")
    if peak > MAX_AMPLITUDE:
        raise InvalidSamples(
            f"samples reach {peak:g}, at most {MAX_AMPLITUDE:g} is accepted: "
            "float audio has full scale at 1"
        )
    return samples
