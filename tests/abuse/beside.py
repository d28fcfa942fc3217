"""Good streams beside bad messages: what every case of abuse must leave alone.

Two workers of 1 GB each read a broker. While a case sends what it sends, live streams play in all
partitions; each of their windows must be answered within 5 s, no worker may end or pass its limit,
and the probes must say so each second.

``ABUSE_TREE=/path/of/another/checkout`` runs the workers of that checkout, such as version 0.1.
"""

import asyncio
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaProducer

from schemas import DeadLetterReason, GenrePrediction, decode_dead_letter, decode_event
from services.kafka.clients import TopicReader
from services.kafka.embedded_broker import free_port
from services.kafka.topics import Topics
from services.settings import Settings
from terminal.processes import die_with_parent
from tests.broker.harness import Message, music
from tests.broker.observing import Port

logger = logging.getLogger(__name__)

#: Of private memory that a worker may ask for: compose's limit.
LIMIT_BYTES: Final = 1 << 30
LATE_SECONDS: Final = 5.0
RATE: Final = 22_050
_HEADERS: Final = [("content-type", b"audio/pcm;rate=22050;channels=1;encoding=s16le")]
_CHUNK_SECONDS: Final = 1.5
_PAUSE_SECONDS: Final = 0.75
_POLL_SECONDS: Final = 0.05
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 60.0
_SERVICES: Final = ("extractor", "classifier")
#: Settings that the workers of any release know.
_VARIABLES: Final = {
    "GENRESTREAM_TOPIC_PREFIX": "topic_prefix",
    "GENRESTREAM_MODEL": "model",
    "GENRESTREAM_IDLE_TIMEOUT_SECONDS": "idle_timeout_seconds",
    "GENRESTREAM_SESSION_TIMEOUT_SECONDS": "session_timeout_seconds",
    "GENRESTREAM_REPLICATION_FACTOR": "replication_factor",
}


@dataclass
class Worker:
    """A worker process within its limit, and the port where it says how it fares."""

    process: subprocess.Popen[bytes]
    port: Port

    @property
    def peak_bytes(self) -> int:
        """The most memory that it had; the limit where it is gone."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return LIMIT_BYTES
        found = [line.split()[1] for line in lines if line.startswith("VmHWM")]
        return 1024 * int(found[0]) if found else LIMIT_BYTES


@dataclass
class Workers:
    """The workers of one system, by service."""

    settings: Settings
    by_service: dict[str, Worker] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)

    def start(self, service: str) -> Worker:
        """Start a worker."""
        port = free_port()
        tree = os.environ.get("ABUSE_TREE")
        python = f"{tree}/.venv/bin/python" if tree else sys.executable
        process = subprocess.Popen(
            [python, "-m", "services.cli", "worker", service],
            env={**os.environ, **self._environment(), "GENRESTREAM_HTTP_PORT": str(port)},
            cwd=tree,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
        worker = self.by_service[service] = Worker(process, Port(port))
        return worker

    def _environment(self) -> dict[str, str]:
        values = {name: str(getattr(self.settings, of)) for name, of in _VARIABLES.items()}
        return {"KAFKA_BOOTSTRAP_SERVERS": self.settings.brokers, **values, **self.extra}

    def stop(self) -> None:
        """End them."""
        for worker in self.by_service.values():
            worker.process.terminate()
        for worker in self.by_service.values():
            try:
                worker.process.wait(10.0)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    @property
    def ended(self) -> dict[str, int]:
        """Exit codes of those that ended."""
        codes = {name: worker.process.poll() for name, worker in self.by_service.items()}
        return {name: code for name, code in codes.items() if code is not None}


@contextmanager
def limited_workers(settings: Settings, **extra: str) -> Iterator[Workers]:
    """Run one worker of each service, with 1 GB each."""
    workers = Workers(settings, extra=extra)
    try:
        for service in _SERVICES:
            workers.start(service)
        yield workers
    finally:
        workers.stop()


@dataclass
class Beside:
    """What came out while a case ran."""

    workers: Workers
    producer: Any
    name: str
    partitions: tuple[int, ...]
    late_seconds: float
    letters: list[tuple[Any, DeadLetterReason]] = field(default_factory=list)
    predictions: dict[str, list[GenrePrediction]] = field(default_factory=dict)
    sick: list[str] = field(default_factory=list)
    latenesses: list[float] = field(default_factory=list)
    _due: dict[tuple[str, int], float] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """Those of the workers."""
        return self.workers.settings

    async def send(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """Send messages; return partition and offset of each."""
        futures = [
            await self.producer.send(
                self.settings.topic_prefix + m.topic,
                value=m.value,
                key=m.key,
                headers=m.headers,
                partition=m.partition,
                timestamp_ms=m.timestamp_ms,
            )
            for m in messages
        ]
        return [(sent.partition, sent.offset) for sent in await asyncio.gather(*futures)]

    def answered(self, places: Sequence[tuple[int, int]], topic: str = "audio.chunks") -> bool:
        """Tell whether each of these places has its letter."""
        name = self.settings.topic_prefix + topic
        found = {
            (r.place.partition, r.place.offset) for _, r in self.letters if r.place.topic == name
        }
        return found.issuperset(places)

    def is_over(self, stream_id: str) -> bool:
        """Tell whether a stream has its last prediction."""
        return any(found.final for found in self.predictions.get(stream_id, []))

    def is_refused(self, stream_id: str) -> bool:
        """Tell whether a message with this key has its letter."""
        return any(letter.key == stream_id.encode() for letter, _ in self.letters)

    def letter_at(self, place: tuple[int, int]) -> tuple[Any, DeadLetterReason]:
        """Return the letter of the message at a place."""
        (found, *_) = [
            (letter, reason)
            for letter, reason in self.letters
            if (reason.place.partition, reason.place.offset) == place
        ]
        return found

    async def until(self, condition: Callable[[], bool], seconds: float = _END_SECONDS) -> None:
        """Wait for a condition, while the workers live."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert not self.workers.ended, f"{self.name}: workers ended: {self.workers.ended}"
            assert time.monotonic() < deadline, f"{self.name}: it did not come true in {seconds} s"
            await asyncio.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Fail unless the good streams are complete and in time, and the workers well."""
        peaks = {name: w.peak_bytes for name, w in self.workers.by_service.items()}
        worst = max(self.latenesses, default=0.0)
        megabytes = {name: round(peak / 1e6) for name, peak in peaks.items()}
        logger.info("%s: at most %.2f s late, peaks %s MB", self.name, worst, megabytes)
        assert not self.workers.ended, f"{self.name}: workers ended: {self.workers.ended}"
        assert not self._due, f"{self.name}: never answered: {sorted(self._due)[:5]}"
        assert worst <= self.late_seconds, f"{self.name}: a good window came {worst:.1f} s late"
        assert not self.sick, f"{self.name}: a worker said that it is not well: {self.sick[:3]}"
        assert max(peaks.values()) < LIMIT_BYTES, f"{self.name}: memory {megabytes} MB"

    # -- what runs beside the case -----------------------------------------------------------

    async def collect(self, reader: TopicReader) -> None:
        """Take down what comes out, for ever."""
        letters = Topics(self.settings.topic_prefix).dead_letters
        async for record in reader.messages():
            if record.topic == letters:
                headers = [(name, value or b"") for name, value in record.headers]
                self.letters.append((record, decode_dead_letter(headers)))
            else:
                self._take(decode_event(record.value, GenrePrediction))

    def _take(self, prediction: GenrePrediction) -> None:
        self.predictions.setdefault(prediction.stream_id, []).append(prediction)
        sent = self._due.pop((prediction.stream_id, prediction.window_index), None)
        if sent is not None:
            self.latenesses.append(time.monotonic() - sent)

    async def play(self, partition: int, stop: asyncio.Event) -> None:
        """Play a stream in a partition until it is told to stop; then end it."""
        key = f"{self.name}-good-{partition}"
        samples = (np.clip(music(_CHUNK_SECONDS), -1, 1) * 32_767).astype("<i2").tobytes()
        number = 0
        while not stop.is_set() or number < 4 or number % 2:
            if number % 2:
                self._due[key, number // 2] = time.monotonic()
            await self.send([Message(samples, key.encode(), _HEADERS, partition=partition)])
            number += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        self._due[key, number // 2] = time.monotonic()
        await self.send([Message(b"", key.encode(), [("final", b"true")], partition=partition)])

    async def watch(self) -> None:
        """Ask each worker each second how it fares, for ever."""
        while True:
            for name, worker in self.workers.by_service.items():
                for path in ("/healthz", "/readyz"):
                    status, text = await asyncio.to_thread(worker.port.get, path)
                    if status != 200:
                        self.sick.append(f"{name} {path} {status} {text.strip()}")
            await asyncio.sleep(1.0)


@asynccontextmanager
async def beside_good_streams(
    workers: Workers, name: str, partitions: tuple[int, ...], late_seconds: float
) -> AsyncIterator[Beside]:
    """Play good streams while the body abuses the system; then check that nothing came of it."""
    settings = workers.settings
    topics = Topics(settings.topic_prefix)
    reader = TopicReader(settings, [topics.predictions, topics.dead_letters])
    await reader.start()
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, max_request_size=6 << 20)
    await producer.start()
    beside = Beside(workers, producer, name, partitions, late_seconds)
    stop = asyncio.Event()
    tasks: list[asyncio.Task[None]] = [asyncio.create_task(beside.collect(reader))]
    try:
        await _until_ready(workers)
        tasks.append(asyncio.create_task(beside.watch()))
        playing = [asyncio.create_task(beside.play(n, stop)) for n in partitions]
        yield beside
        stop.set()
        await asyncio.gather(*playing)
        await beside.until(lambda: not beside._due)
        beside.check()
    finally:
        for task in tasks:
            task.cancel()
        await producer.stop()
        await reader.stop()


async def _until_ready(workers: Workers) -> None:
    deadline = time.monotonic() + _START_SECONDS
    for worker in workers.by_service.values():
        while not await asyncio.to_thread(worker.port.is_ok, "/readyz"):
            assert not workers.ended, f"workers ended: {workers.ended}"
            assert time.monotonic() < deadline, "a worker does not become ready"
            await asyncio.sleep(_POLL_SECONDS)


def run(
    workers: Workers,
    name: str,
    case: Callable[[Beside], Awaitable[None]],
    partitions: tuple[int, ...] = (0, 1),
    late_seconds: float = LATE_SECONDS,
) -> None:
    """Run a case beside good streams in these partitions, each window of them in time."""

    async def whole() -> None:
        async with beside_good_streams(workers, name, partitions, late_seconds) as beside:
            await case(beside)

    asyncio.run(whole())
