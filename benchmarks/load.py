"""Load for the running system: streams of music, encoded before the clock starts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from benchmarks.signals import encode, integers, music
from schemas import AudioChunk
from services.kafka.clients import TopicReader, send_chunk
from services.kafka.topics import Topics
from services.settings import Settings

Codec = Literal["flac", "pcm"]

RATE: Final = 22_050
WINDOW_SECONDS: Final = 3.0
_VARIETY: Final = 8
_IN_FLIGHT: Final = 256
_PATIENCE_SECONDS: Final = 120.0
_CONTENT_TYPES: Final[dict[Codec, str]] = {
    "flac": "audio/flac",
    "pcm": f"audio/pcm;rate={RATE};channels=1;encoding=s16le",
}


@dataclass(frozen=True, slots=True)
class Load:
    """Streams that are sent side by side.

    Attributes
    ----------
    name
        Begins the stream ids, which must be fresh.
    streams, seconds
        How many there are, and the audio of each.
    chunk_seconds, codec
        Of the messages.
    final
        Whether the streams end with their last chunk.
    """

    name: str
    streams: int
    seconds: float
    chunk_seconds: float = WINDOW_SECONDS
    codec: Codec = "flac"
    final: bool = True

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio in all streams together."""
        return self.streams * self.seconds

    @property
    def predictions(self) -> int:
        """How many predictions must come of whole windows."""
        return self.streams * int(self.seconds / WINDOW_SECONDS)

    def chunks(self) -> Iterator[AudioChunk]:
        """Yield the chunks in the order of sending: the first of every stream, then the second."""
        data = encoded(self.codec, self.chunk_seconds)
        count = round(self.seconds / self.chunk_seconds)
        for number in range(count):
            for stream in range(self.streams):
                yield AudioChunk(
                    data[(number + stream) % _VARIETY],
                    f"{self.name}-{stream}",
                    _CONTENT_TYPES[self.codec],
                    final=self.final and number == count - 1,
                )


@cache
def encoded(codec: Codec, seconds: float) -> tuple[bytes, ...]:
    """Return different pieces of music, as the value of a message each."""
    pieces = [integers(music(seconds, RATE, seed=seed)) for seed in range(_VARIETY)]
    if codec == "pcm":
        return tuple(piece.astype("<i2").tobytes() for piece in pieces)
    return tuple(encode(piece, RATE, "FLAC", "PCM_16") for piece in pieces)


async def send(producer: Any, settings: Settings, load: Load) -> None:
    """Send a load as fast as the broker takes it."""
    waiting: set[asyncio.Future[object]] = set()
    for chunk in load.chunks():
        waiting.add(await send_chunk(producer, settings, chunk))
        if len(waiting) >= _IN_FLIGHT:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
    await asyncio.gather(*waiting)


@dataclass(frozen=True, slots=True)
class Listener:
    """Reads predictions as they become readable."""

    records: AsyncIterator[Any]

    async def take(self, *loads: Load) -> list[tuple[float, bytes]]:
        """Wait for all predictions of loads; return when each came (monotonic, s) and its value.

        Raises
        ------
        TimeoutError
            Nothing came for two minutes.
        """
        ours = tuple(f"{load.name}-".encode() for load in loads)
        count = sum(load.predictions for load in loads)
        taken: list[tuple[float, bytes]] = []
        while len(taken) < count:
            record = await asyncio.wait_for(anext(self.records), _PATIENCE_SECONDS)
            if record.key.startswith(ours):
                taken.append((time.monotonic(), record.value))
        return taken


@asynccontextmanager
async def listen(settings: Settings) -> AsyncIterator[Listener]:
    """Listen to predictions that are made from here on."""
    reader = TopicReader(settings, [Topics(settings.topic_prefix).predictions])
    await reader.start()
    try:
        yield Listener(reader.messages())
    finally:
        await reader.stop()
