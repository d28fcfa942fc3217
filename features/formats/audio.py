"""Decoded audio, and what is accepted as such."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.errors import AudioTooLong, InvalidSamples, UnsupportedAudio

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
#: Samples to decode of a FLAC that does not state its length: half a second of work, 6 minutes of
#: mono at 44.1 kHz. 5 MB hold more of silence alone. A limit above the usual one raises it.
_UNSTATED_SAMPLES: Final = 1 << 24
#: What libsndfile reports of a FLAC that was encoded into a pipe and so states no number.
UNKNOWN_FRAMES: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded audio.

    Attributes
    ----------
    samples
        Mono, full scale at 1 [shape=(n,), float32].
    sample_rate
        In Hz.
    missing_seconds
        How much audio was there and could not be heard.
    notes
        What was left out, and where, in words.
    """

    samples: Samples
    sample_rate: int
    missing_seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate


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


def frame_limit(sample_rate: int, channels: int, claimed: int, max_seconds: float) -> int:
    """Return how many frames to decode at most: as many as are little work, whatever is claimed."""
    frames = max_seconds * min(sample_rate, _FULL_LENGTH_RATE)
    frames *= min(1.0, _FULL_LENGTH_CHANNELS / channels)
    if claimed >= UNKNOWN_FRAMES:
        samples = _UNSTATED_SAMPLES * max(1.0, max_seconds / MAX_SECONDS)
        frames = min(frames, samples / channels)
    return int(frames)


def too_long(limit: int, sample_rate: int) -> AudioTooLong:
    """Return the error for audio above a limit in frames."""
    return AudioTooLong(
        f"the audio decodes to more than {limit / sample_rate:g} s, the limit for such a message "
        f"at {sample_rate} Hz: send it in shorter chunks"
    )


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


def check_samples(samples: Samples) -> Samples:
    """Return samples [shape=(n,)], or refuse what is none.

    Raises
    ------
    InvalidSamples
        NaN, infinite or absurdly large samples.
    """
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
