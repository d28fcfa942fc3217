"""PCM to numbered chunks of FLAC, each with the time at which it was heard."""

import io
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from schemas import AudioChunk
from services.receiver.decoder import SAMPLE_RATE
from services.receiver.timeline import CHUNK_SECONDS

CHUNK_SAMPLES: Final = round(CHUNK_SECONDS * SAMPLE_RATE)


@dataclass
class Cutter:
    """Samples that are no whole chunk yet."""

    _parts: list[NDArray[np.int16]] = field(default_factory=list)
    samples: int = 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """Take in samples [shape=(n,)]."""
        self._parts.append(samples)
        self.samples += len(samples)

    def drop(self, count: int) -> int:
        """Drop the oldest samples; tell how many were there to drop."""
        dropped = min(count, self.samples)
        if dropped:
            self._keep(self._joined()[dropped:])
        return dropped

    def take(self, *, rest: bool = False) -> NDArray[np.int16] | None:
        """Return the samples of the next chunk; with ``rest`` also those of a shorter one."""
        if self.samples < CHUNK_SAMPLES and not (rest and self.samples):
            return None
        joined = self._joined()
        self._keep(joined[CHUNK_SAMPLES:])
        return joined[:CHUNK_SAMPLES]

    def _joined(self) -> NDArray[np.int16]:
        return np.concatenate(self._parts)

    def _keep(self, samples: NDArray[np.int16]) -> None:
        self._parts = [samples] if len(samples) else []
        self.samples = len(samples)


def encode_chunk(
    samples: NDArray[np.int16], station_id: str, sequence: int, captured_at_ms: int
) -> AudioChunk:
    """Encode samples [shape=(n,)] as a chunk of FLAC."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return AudioChunk(
        data=buffer.getvalue(),
        stream_id=station_id,
        content_type="audio/flac",
        sequence=sequence,
        captured_at=captured_at_ms,
    )


def chunk_seconds(data: bytes) -> float:
    """Return the length of a chunk that a receiver wrote; a whole one's where it cannot be read."""
    try:
        return float(soundfile.info(io.BytesIO(data)).duration)
    except soundfile.LibsndfileError:
        return CHUNK_SECONDS
