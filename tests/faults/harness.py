"""A running system under faults: its workers by name, its load, and what came out."""

import asyncio
import logging
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from schemas import FeatureVector, GenrePrediction, GenreSegment, Place, TagPrediction
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import TopicReader, chunk_producer, reading
from services.kafka.embedded_broker import free_port
from services.kafka.topics import Topics
from services.settings import Settings
from tests.broker.harness import Message
from tests.broker.observing import Port
from tests.faults.groups import connected_groups
from tests.faults.oracle import Expected, Verdict, compare, expected, origin_of

SERVICES = ("extractor", "classifier")
_POLL_SECONDS = 0.05
_PROGRESS_SECONDS = 60.0

logger = logging.getLogger(__name__)


class Crew:
    """Worker processes by name, such as ``extractor-0``; faults are done to them by name.

    Attributes
    ----------
    ports
        Where each tells how it fares.
    """

    def __init__(self, settings: Settings, size: int) -> None:
        self._environment = worker_environment(settings)
        self.names = [f"{service}-{i}" for i in range(size) for service in SERVICES]
        self.exits: list[tuple[str, int]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, Port] = {}
        for name in self.names:
            self.start(name)

    def start(self, name: str) -> None:
        """Start a worker, or start it again."""
        port = self.ports.setdefault(name, Port(free_port()))
        environment = {**self._environment, "GENRESTREAM_HTTP_PORT": str(port.number)}
        self.processes[name] = start_worker(name.partition("-")[0], environment)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a worker."""
        logger.info("%s to %s", number.name, name)
        self.processes[name].send_signal(number)

    async def end(self, name: str, number: signal.Signals, seconds: float = 10.0) -> int:
        """End a worker by a signal and return its exit code."""
        self.send(name, number)
        return await asyncio.to_thread(self.processes[name].wait, seconds)

    async def restart(self, name: str, number: signal.Signals) -> int:
        """End a worker by a signal and start it again; return its exit code."""
        code = await self.end(name, number)
        self.start(name)
        return code

    def revive(self) -> None:
        """Start again the workers that ended by themselves, as a supervisor does."""
        for name, process in list(self.processes.items()):
            code = process.poll()
            if code is not None:
                logger.warning("%s ended by itself with code %d", name, code)
                self.exits.append((name, code))
                self.start(name)

    def stop(self) -> None:
        """Stop all of them, paused ones too."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
        stop_workers(self.processes)


@dataclass
class Run:
    """A system under test; made by `running`."""

    settings: Settings
    crew: Crew
    producer: Any
    supervised: bool = False
    sent: int = 0
    kills: list[tuple[str, dict[TopicPartition, range]]] = field(default_factory=list)
    topics: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        topics = Topics(self.settings.topic_prefix)
        self.topics.update({name: [] for name in topics.all})
        self.chunks = self.topics[topics.chunks]
        self.features = self.topics[topics.features]
        self.predictions = self.topics[topics.predictions]
        self.segments = self.topics[topics.segments]
        self.tags = self.topics[topics.tags]
        self.dead_letters = self.topics[topics.dead_letters]

    @property
    def events(self) -> int:
        """Number of events that came out so far, of both services."""
        return len(self.features) + len(self.predictions)

    @property
    def counts(self) -> str:
        """How many messages each topic has had so far."""
        return ", ".join(f"{name} {len(records)}" for name, records in self.topics.items())

    async def send(self, messages: Sequence[Message]) -> None:
        """Produce messages and wait until the broker has them."""
        topic = Topics(self.settings.topic_prefix).chunks
        futures = [
            await self.producer.send(topic, value=m.value, key=m.key, headers=m.headers)
            for m in messages
        ]
        await asyncio.gather(*futures)
        self.sent += len(futures)

    async def feed(self, messages: Sequence[Message], events: int) -> None:
        """Produce messages, and wait until so many more events came out."""
        goal = self.events + events
        await self.send(messages)
        came = await self.until(lambda: self.events >= goal, _PROGRESS_SECONDS)
        assert came, f"nothing comes out any more: {self.counts}"

    async def play(self, timed: Iterable[tuple[float, Message]]) -> None:
        """Produce messages at their times, as live producers do."""
        begun = time.monotonic()
        for at, message in timed:
            await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
            await self.send([message])

    async def kill(self, name: str) -> None:
        """Kill a worker by SIGKILL, note what is not committed, and start it again."""
        await self.crew.end(name, signal.SIGKILL)
        service = name.partition("-")[0]
        async with connected_groups(self.settings) as groups:
            self.kills.append((service, await groups.uncommitted(service)))
        self.crew.start(name)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; tell whether it came true in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            if self.supervised:
                self.crew.revive()
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def until_async(self, condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Wait for a condition that asks the broker; tell whether it came true in time."""
        deadline = time.monotonic() + seconds
        while not await condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def progress(self, events: int) -> None:
        """Wait until so many more events came out of what is being sent."""
        await self.feed([], events)

    async def expected(self) -> Expected:
        """Compute what must have come out in the end, from the log of chunks as it is now."""
        topic = Topics(self.settings.topic_prefix).chunks
        # The broker may have more than was sent, as a producer repeats itself after a crash.
        count = max(self.sent, await count_records(self.settings, [topic]))
        assert await self.until(lambda: len(self.chunks) >= count, 10.0), "chunks are missing"
        return await asyncio.to_thread(expected, list(self.chunks), self.settings)

    def in_flight(self, wanted: Expected) -> dict[str, int]:
        """Count, over all kills, the windows whose message was not committed at that moment.

        So many events each service may repeat, and no more.
        """
        features = Topics(self.settings.topic_prefix).features
        causes = {
            "extractor": list(wanted.causes.values()),
            "classifier": [Place(features, r.partition, r.offset) for r in self.features],
        }
        counts = dict.fromkeys(SERVICES, 0)
        for service, uncommitted in self.kills:
            counts[service] += sum(
                cause.offset in uncommitted[TopicPartition(cause.topic, cause.partition)]
                for cause in causes[service]
            )
        return counts

    async def finish(self, seconds: float) -> "Outcome":
        """Wait for all that must come, stop the workers and compare all that came."""
        wanted = await self.expected()
        start = time.monotonic()

        def complete() -> bool:
            for came, needed in (
                (self.predictions, wanted.predictions),
                (self.segments, wanted.segments),
                (self.tags, wanted.tags),
            ):
                if not needed.keys() <= {header(record, "ce_id") for record in came}:
                    return False
            return True

        await self.until(complete, seconds)
        took = time.monotonic() - start
        await asyncio.to_thread(self.crew.stop)
        end = await count_records(self.settings, list(self.topics))
        await self.until(lambda: sum(map(len, self.topics.values())) >= end, 10.0)
        outcome = Outcome(
            self.in_flight(wanted),
            wanted,
            compare(wanted.features, self.features, FeatureVector),
            compare(wanted.predictions, self.predictions, GenrePrediction),
            compare(wanted.segments, self.segments, GenreSegment),
            compare(wanted.tags, self.tags, TagPrediction),
            frozenset(map(origin_of, self.dead_letters)),
            took,
        )
        logger.info("%s", outcome.summary)
        return outcome


@dataclass(frozen=True)
class Outcome:
    """What a run gave, against what it had to give; and how much was in flight at its kills."""

    in_flight: dict[str, int]
    expected: Expected
    features: Verdict
    predictions: Verdict
    segments: Verdict
    tags: Verdict
    dead_letters: frozenset[Place]
    seconds: float

    @property
    def summary(self) -> str:
        """One line with all the counts."""
        parts = [
            f"{name}: {len(wanted)} expected, {len(verdict.missing)} missing, "
            f"{len(verdict.invented)} invented, {len(verdict.differing)} differing, "
            f"{verdict.duplicates} duplicates"
            for name, wanted, verdict in (
                ("features", self.expected.features, self.features),
                ("predictions", self.expected.predictions, self.predictions),
                ("segments", self.expected.segments, self.segments),
                ("tags", self.expected.tags, self.tags),
            )
        ]
        flight = f"in flight at the kills: {self.in_flight}"
        return "; ".join([*parts, flight, f"complete after {self.seconds:.1f} s"])

    def assert_exact(self) -> None:
        """Fail when anything is missing, invented or different."""
        assert self.expected.finals, "the load has no ends"
        assert self.features.is_exact, self.features
        assert self.predictions.is_exact, self.predictions
        assert self.expected.segments, "the load has no segments"
        assert self.segments.is_exact, self.segments
        assert self.tags.is_exact, self.tags
        assert self.dead_letters == self.expected.dead_letters


def header(record: Any, name: str) -> str:
    """Return a header of a record as text."""
    return str(dict(record.headers)[name], "utf-8")


@asynccontextmanager
async def running(
    settings: Settings, size: int = 2, crew: Crew | None = None
) -> AsyncIterator[Run]:
    """Run so many workers of each service, or those of a crew; read what comes out."""
    topics = Topics(settings.topic_prefix)
    crew = crew or Crew(settings, size)
    reader = TopicReader(settings, topics.all)
    try:
        await reader.start(from_beginning=True)
        async with chunk_producer(settings) as producer:
            run = Run(settings, crew, producer)
            following = asyncio.create_task(_follow(reader, run.topics))
            try:
                yield run
            finally:
                following.cancel()
                await asyncio.wait([following])
    finally:
        await reader.stop()
        await asyncio.to_thread(crew.stop)


async def _follow(reader: TopicReader, topics: dict[str, list[Any]]) -> None:
    async for record in reader.messages():
        topics[record.topic].append(record)


async def count_records(settings: Settings, topics: Sequence[str]) -> int:
    """Count the records of topics, as the broker tells."""
    async with reading(settings, topics) as reader:
        return sum(map(len, (await reader.offsets()).values()))
