"""What a receiver wrote of each station, and where in the programme each chunk was."""

import io
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from schemas import StationEvent, decode_chunk, decode_event
from services.kafka.clients import TopicReader
from tests.radio.live_server import programme
from tests.radio.material import RATE, decoded
from tests.receiver.servers import BYTES_A_SECOND

#: So many samples are looked for in the programme.
_SAMPLES: Final = 8192
_CERTAIN: Final = 0.4
#: A minute, and those samples.
_TRANSFORM: Final = 2**21


@dataclass(frozen=True)
class Chunk:
    """A chunk.

    Attributes
    ----------
    arrived
        When it was read from the log, in seconds since 1970.
    start, seconds
        When its first sample was heard, as it says, and its length.
    samples
        Its first ones [shape=(n,)].
    """

    arrived: float
    sequence: int
    start: float
    seconds: float
    samples: NDArray[np.int16]

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass
class Log:
    """Chunks and events by station, in the order of the log."""

    chunks: dict[str, list[Chunk]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, list[StationEvent]] = field(default_factory=lambda: defaultdict(list))

    async def follow(self, reader: TopicReader) -> None:
        async for record in reader.messages():
            if record.topic.endswith("station.events"):
                event = decode_event(record.value, StationEvent)
                self.events[event.station_id].append(event)
                continue
            chunk = decode_chunk(record.key, record.value, record.headers)
            samples = soundfile.read(io.BytesIO(chunk.data), dtype="int16")[0]
            self.chunks[chunk.stream_id or ""].append(
                Chunk(
                    time.time(),
                    chunk.sequence or 0,
                    (chunk.captured_at or 0) / 1000,
                    len(samples) / RATE,
                    samples[:_SAMPLES].copy(),
                )
            )


@cache
def _reference() -> NDArray[np.float32]:
    sound = decoded([programme()]).astype(np.float32)
    return sound[: round(RATE * len(programme()) / BYTES_A_SECOND)]


@cache
def _spectrum() -> NDArray[np.complex64]:
    reference = _reference()
    spectrum: NDArray[np.complex64] = rfft(np.append(reference, reference[:_SAMPLES]), _TRANSFORM)
    return spectrum


def delay(chunk: Chunk, began: float) -> float | None:
    """Tell how much later than it was on air a chunk says that it was heard.

    Parameters
    ----------
    chunk
        Of a `LiveServer`.
    began
        When byte 0 of its programme was on air.

    Returns
    -------
    Seconds, within half a programme; ``None`` where its sound is not found.
    """
    reference, part = _reference(), chunk.samples.astype(np.float32)
    if len(part) < _SAMPLES // 2 or not part.any():
        return None
    spectrum = np.conj(rfft(part, _TRANSFORM))
    match = irfft(_spectrum() * spectrum, _TRANSFORM)[: len(reference)]
    place = int(np.argmax(match))
    same = np.take(reference, range(place, place + len(part)), mode="wrap")
    if match[place] < _CERTAIN * float(np.linalg.norm(part) * np.linalg.norm(same)):
        return None
    period = len(reference) / RATE
    late = (chunk.start - began - place / RATE) % period
    return late - period if late > period / 2 else late
