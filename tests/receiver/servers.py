"""A small radio server for tests, that can misbehave in every way."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from schemas import AudioChunk, Station, StationEvent
from services.receiver.receiver import Receiver

SECONDS_OF_SOUND = 60
BYTES_A_SECOND = 16_000
DEADLINE_SECONDS = 30.0


@cache
def sound(codec: str = "mp3") -> bytes:
    """Return a minute of noise, encoded at 128 kbit/s."""
    formats = {"mp3": ["-f", "mp3"], "aac": ["-c:a", "aac", "-f", "adts"]}
    source = f"anoisesrc=d={SECONDS_OF_SOUND}:a=0.2:seed=1"
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, "-b:a", "128k"]
    return subprocess.run(
        [*command, *formats[codec], "pipe:1"], check=True, capture_output=True
    ).stdout


@dataclass
class RadioServer:
    """Plays a minute of noise in real time, over and over; `answer` may be replaced."""

    port: int = 0
    codec: str = "mp3"
    head: bytes = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"
    speed: float = 1.0
    paused: bool = False
    garbage: bool = False
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    _server: Any = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/live"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            while self.paused:
                await asyncio.sleep(0.05)
            writer.write(self.head)
            if b" 200 " in self.head.split(b"\r\n")[0]:
                await self._play(writer)
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        place, noise = 0, Random(0)
        while True:
            while self.paused:
                await asyncio.sleep(0.05)
            data = sound(self.codec)
            step = int(0.1 * BYTES_A_SECOND)
            begin = place % (len(data) - step)
            part = noise.randbytes(step) if self.garbage else data[begin : begin + step]
            place += step
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.1 / self.speed)


@dataclass
class Ear:
    """Collects what a receiver reports."""

    chunks: list[AudioChunk] = field(default_factory=list)
    events: list[StationEvent] = field(default_factory=list)

    def chunk(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)

    def event(self, event: StationEvent) -> None:
        self.events.append(event)

    def observed(self, receiver: Receiver) -> None:
        pass

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def until(self, condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[tuple[Ear, Receiver]]:
    """Listen to an address for the duration of a block."""
    ear = Ear()
    receiver = Receiver(Station(id="radio", name="Radio", url=url), ear, name="me")
    task = asyncio.create_task(receiver.run())
    try:
        yield ear, receiver
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
