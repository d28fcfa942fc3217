"""Fuzz both input topics of running workers: ``make fuzz``, or a small run within the tests.

Every message must be answered: by the very events and dead letters that the pure cores give for the
log. No worker may end or grow.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import (
    Event,
    FeatureVector,
    GenrePrediction,
    GenreSegment,
    Place,
    decode_dead_letter,
    encode_event,
)
from services.classifier.classifier import Classifier
from services.classifier.model import load_model
from services.extractor.agent import create_recipe
from services.extractor.extractor import Extractor
from services.kafka.clients import reading
from services.kafka.embedded_broker import embedded_broker
from services.kafka.topics import Topics
from services.processing.core import Core
from services.settings import Settings
from tests.abuse import batches as bombs
from tests.abuse.batches import Many
from tests.broker.harness import Message, fresh_settings, send
from tests.faults.groups import Groups, connected_groups
from tests.faults.harness import Crew
from tests.faults.load import MODEL
from tests.faults.memory import MemoryWatch
from tests.faults.mutations import MOST_ORIGINS, Fuzzer, endings
from tests.faults.oracle import Fold, origin_of, to_record

#: Part of the messages that come before memory is judged: code is loaded, buffers reach their size.
_WARM_UP = 0.1
_LARGEST_WARM_UP = 5000
_BATCH = 1000
#: Messages that wait at most; the broker holds all of them in memory anyhow.
_MOST_WAITING = 20_000
_STALL_SECONDS = 60.0
_CODECS = (None, "gzip", "snappy", "lz4", "zstd")
#: Of a batch of one codec each, and bytes of a value: some within the limits, some far beyond.
_BOMBS = ((1, 0), (1, 40_000_000), (3, 50_000_000), (500, 0), (40, 100_000), (60_000, 0))
_BOMB_CODECS = ("gzip", "lz4", "zstd")
#: How many batches are followed by one of those, and by the ends of all streams.
_BOMB_SHARE = 0.1
#: After so many messages the streams are ended in any case: what is open keeps its messages, and
#: those behind them, from being committed.
_ENDS_EVERY = _MOST_WAITING // 4
_POLL_SECONDS = 0.5

Say = Callable[[str], None]


@dataclass
class Report:
    """What came of a run.

    Attributes
    ----------
    messages, seed
        What was sent.
    seconds
        From the first message to the last answer.
    events, dead_letters
        What came out, and the dead letters by service and error.
    start_mb, peak_mb
        Resident memory of each worker after the warm-up, and the most after it.
    unanswered, invented
        What is missing, and what should not be there.
    exits
        Workers that ended.
    """

    messages: int
    seed: int
    seconds: float = 0.0
    events: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)
    start_mb: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    exits: list[tuple[str, int]] = field(default_factory=list)

    def check(self, grown_mb: float = 100.0) -> None:
        """Fail unless all was answered, and nothing ended or grew."""
        assert not self.exits, f"workers ended: {self.exits}"
        assert not self.unanswered, f"unanswered: {self.unanswered[:10]}"
        assert not self.invented, f"not expected: {self.invented[:10]}"
        assert self.dead_letters, "nothing was refused: that is no fuzzing"
        assert self.events, "nothing was understood: that is no fuzzing"
        for name, start in self.start_mb.items():
            assert self.peak_mb[name] - start < grown_mb, (
                f"{name} grew from {start:.0f} to {self.peak_mb[name]:.0f} MB"
            )


async def fuzz(settings: Settings, messages: int, seed: int, say: Say) -> Report:
    """Send so many messages to one worker of each service, and compare what comes out."""
    report = Report(messages, seed)
    crew = Crew(settings, 1)
    try:
        async with _watched(crew, report, settings, say) as waiting:
            await _send_all(settings, report, waiting)
        report.exits = [
            (name, process.returncode)
            for name, process in crew.processes.items()
            if process.poll() is not None
        ]
    finally:
        await asyncio.to_thread(crew.stop)
    say("comparing with the pure cores")
    await _compare(settings, report)
    return report


@asynccontextmanager
async def _watched(
    crew: Crew, report: Report, settings: Settings, say: Say
) -> AsyncIterator["_Progress"]:
    async with connected_groups(settings) as groups:
        progress = _Progress(groups, crew, say)
        begun = time.monotonic()
        yield progress
        report.seconds = time.monotonic() - begun
        report.start_mb, report.peak_mb = progress.memory.start_mb, progress.memory.peak_mb


async def _send_all(settings: Settings, report: Report, progress: "_Progress") -> None:
    source = Fuzzer(report.seed).messages(report.messages)
    # The origins that vectors name are chunks before the first vector comes.
    await progress.send(settings, [Message(b"", b"origin", partition=0)] * MOST_ORIGINS)
    warm_up = min(round(_WARM_UP * report.messages), _LARGEST_WARM_UP)
    await progress.send(settings, [*islice(source, warm_up), *endings()])
    await progress.until_waiting(0)
    progress.memory.begin()
    rng = random.Random(report.seed)
    since_ends = 0
    while batch := list(islice(source, rng.randint(1, 2 * _BATCH))):
        await progress.send(settings, batch, rng.choice(_CODECS))
        since_ends += len(batch)
        has_bomb = rng.random() < _BOMB_SHARE
        if has_bomb:
            await _send_bomb(settings, rng)
        if has_bomb or since_ends > _ENDS_EVERY:
            await progress.send(settings, endings())
            since_ends = 0
        await progress.until_waiting(_MOST_WAITING)
    await progress.send(settings, endings())
    await progress.until_waiting(0)


def _of_our_chunks(settings: Settings, message: Message) -> Message:
    """Let a vector name the chunk topic of this run."""
    if message.topic != "audio.features" or not message.value:
        return message
    own = f'"topic":"{Topics(settings.topic_prefix).chunks}"'.encode()
    return replace(message, value=message.value.replace(b'"topic":"audio.chunks"', own))


async def _send_bomb(settings: Settings, rng: random.Random) -> None:
    """Send a batch of any codec, ratio and count of records, to either topic."""
    many = Many(*rng.choice(_BOMBS), rng.choice((None, b"bomb")))
    data = bombs.batch(many, rng.choice(_BOMB_CODECS), timestamp_ms=round(1000 * time.time()))
    topic = settings.topic_prefix + rng.choice(("audio.chunks", "audio.features"))
    async with AIOKafkaProducer(bootstrap_servers=settings.brokers) as producer:
        await bombs.send_batch(
            producer, topic, rng.randrange(settings.partitions), data, many.count
        )


class _Progress:
    """Counts what is sent and what is committed, and watches the workers meanwhile."""

    def __init__(self, groups: Groups, crew: Crew, say: Say) -> None:
        self._groups = groups
        self._crew = crew
        self._say = say
        self._sent = 0
        self._begun = time.monotonic()
        self.memory = MemoryWatch({name: p.pid for name, p in crew.processes.items()})

    async def send(
        self, settings: Settings, messages: Iterable[Message], codec: str | None = None
    ) -> None:
        messages = [_of_our_chunks(settings, message) for message in messages]
        await send(settings, messages, codec, linger_ms=100)
        self._sent += len(messages)

    async def until_waiting(self, most: int) -> None:
        """Wait until at most so many messages are not committed; fail when nothing moves."""
        fewest, moved = sys.maxsize, time.monotonic()
        while (waiting := await self._look()) > most:
            if waiting < fewest:
                fewest, moved = waiting, time.monotonic()
            assert time.monotonic() - moved < _STALL_SECONDS, f"{waiting} messages wait for ever"
            await asyncio.sleep(_POLL_SECONDS)

    async def _look(self) -> int:
        """Look after the workers, and return how many messages wait."""
        for name, process in self._crew.processes.items():
            assert process.poll() is None, f"{name} ended with code {process.returncode}"
        self.memory.sample()
        waiting = await self._groups.waiting()
        rate = (self._sent - waiting) / (time.monotonic() - self._begun)
        self._say(f"{self._sent:,} sent, {waiting:,} wait, {rate:,.0f}/s, {self.memory.describe()}")
        return waiting


async def _compare(settings: Settings, report: Report) -> None:
    """Fold the pure cores over the logs of both input topics, and compare with the outputs."""
    topics = Topics(settings.topic_prefix)
    model = load_model(settings.model_path)
    recipe = create_recipe(settings, (model.metadata.feature_set,))
    async with reading(settings, [topics.chunks]) as reader:
        held = await reader.offsets()
    ends = {(tp.topic, tp.partition): span.stop for tp, span in held.items()}
    cores: dict[str, Core[Any, Any, Any]] = {
        topics.chunks: Extractor(recipe, inf),
        topics.features: Classifier(
            model,
            settings.silence_dbfs,
            unsent=lambda places: {
                p for p in places if p.offset >= ends.get((p.topic, p.partition), 0)
            },
        ),
    }
    outputs: dict[type[Event], str] = {
        FeatureVector: topics.features,
        GenrePrediction: topics.predictions,
        GenreSegment: topics.segments,
    }
    wanted: Counter[tuple[str, bytes]] = Counter()
    letters: Counter[Place] = Counter()
    for topic, core in cores.items():
        fold = Fold(core)
        async for record in _records(settings, [topic]):
            for step in fold.steps(to_record(record)):
                wanted.update((outputs[type(e)], encode_event(e)) for e in step.events)
                letters.update(letter.record.place for letter in step.dead_letters)
    got: Counter[tuple[str, bytes]] = Counter()
    async for record in _records(settings, list(outputs.values())):
        if any(name == "ce_id" for name, _ in record.headers):  # not one of ours
            got[record.topic, record.value] += 1
    refused: Counter[Place] = Counter()
    errors: Counter[str] = Counter()
    async for record in _records(settings, [topics.dead_letters]):
        refused[origin_of(record)] += 1
        reason = decode_dead_letter(record.headers)
        errors[f"{reason.service} {reason.error}"] += 1
    report.events = got.total()
    report.dead_letters = dict(errors.most_common())
    report.unanswered = [repr(item)[:300] for item in (*(wanted - got), *(letters - refused))]
    report.invented = [repr(item)[:300] for item in (*(got - wanted), *(refused - letters))]


async def _records(settings: Settings, topics: list[str]) -> AsyncIterator[Any]:
    async with reading(settings, topics, from_beginning=True) as reader:
        async for record in reader.messages_so_far():
            yield record


def main() -> None:
    """Run on the command line."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=round(time.time()))
    parser.add_argument("--output", type=Path, help="write the report as JSON")
    arguments = parser.parse_args()
    say = _throttled(5.0)
    say(f"fuzzing with {arguments.messages:,} messages, --seed {arguments.seed}")
    with embedded_broker() as address:
        settings = fresh_settings(address, "fuzz.", idle_timeout_seconds=3600.0, model=MODEL)
        report = asyncio.run(fuzz(settings, arguments.messages, arguments.seed, say))
    text = json.dumps(asdict(report), indent=2)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    sys.stdout.write(text + "\n")
    report.check()


def _throttled(seconds: float) -> Say:
    """Return a way to say things at most that often."""
    last = -seconds

    def say(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            sys.stderr.write(text + "\n")

    return say


if __name__ == "__main__":
    main()
