"""The recorder's loop: a batch from Kafka, a transaction, then the offsets."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass, field
from typing import Final

from services.kafka.errors import DeliveryError
from services.kafka.group_consumer import Batch, GroupConsumer, group_consumer
from services.kafka.groups import recorder_group
from services.kafka.topics import Topics
from services.observing.service_metrics import ServiceMetrics, ServiceState
from services.recorder.database import DatabaseError, database_url, shown
from services.recorder.recording import Message, Outcome, Recording
from services.settings import Settings

logger = logging.getLogger(__name__)

MAX_RECORDS: Final = 4_000
_RETENTION_SECONDS: Final = 600.0
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0


def kinds_of_topics(topics: Topics) -> dict[str, str]:
    """Return what each of the topics holds that are recorded."""
    return {
        topics.predictions: "predictions",
        topics.segments: "segments",
        topics.station_events: "events",
        topics.stations: "stations",
    }


class RecorderMetrics:
    """What a recorder counts."""

    def __init__(self) -> None:
        metrics = self.service = ServiceMetrics("recorder")
        self.messages = metrics.counter("messages", "Messages recorded or refused", "topic")
        self.rows = metrics.counter("rows", "Rows written, those that were there among them")
        self.new_windows = metrics.counter("windows", "Windows that were not there before")
        self.sealed = metrics.counter(
            "sealed_windows", "Windows not counted: they came when their minute was closed"
        )
        self.dead_letters = metrics.counter("dead_letters", "Messages that no row can hold")
        self.transactions = metrics.seconds("transaction_seconds", "Time of a batch's transaction")
        self.failures = metrics.counter("database_failures", "Batches that the database refused")
        self.up = metrics.gauge("database_up", "1 while the database takes rows")

    def count(self, outcome: Outcome, batch: Batch) -> None:
        """Count a batch that was recorded."""
        self.rows.inc(outcome.rows)
        self.new_windows.inc(outcome.new_windows)
        self.sealed.inc(outcome.sealed_windows)
        self.dead_letters.inc(len(outcome.refused))
        for partition, records in batch.items():
            self.messages.labels(partition.topic).inc(len(records))


@dataclass
class Recorder:
    """Records until it is cancelled.

    Parameters
    ----------
    consumer
        A member of the recorders' group.
    recording
        Writes to the database.
    kinds
        What each topic holds.
    metrics, state
        What it counts, and what probes ask.
    """

    consumer: GroupConsumer
    recording: Recording
    kinds: dict[str, str]
    metrics: RecorderMetrics
    state: ServiceState
    _failures: int = 0
    _next_deletion: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Record batches, for ever."""
        while True:
            batch = await self.consumer.poll(MAX_RECORDS)
            self.state.polled = time.monotonic()
            self.state.is_assigned = self.consumer.is_assigned
            await self._try(batch)

    async def _try(self, batch: Batch) -> None:
        """Record a batch, or let it come again later: nothing of it is kept meanwhile."""
        try:
            if batch or self._failures:
                await self._record(batch)
            await self._delete_old()
            self._recovered()
        except (DatabaseError, DeliveryError) as error:
            self.consumer.rewind(batch)
            await self._wait(error)

    async def _record(self, batch: Batch) -> None:
        messages: list[tuple[str, Message]] = [
            (self.kinds[partition.topic], record)
            for partition, records in batch.items()
            for record in records
        ]
        if self._failures:  # the schema may be another one since
            await asyncio.to_thread(self.recording.check)
        began = time.perf_counter()
        outcome = await asyncio.to_thread(self.recording.record, messages)
        self.metrics.transactions.observe(time.perf_counter() - began)
        for record, error in outcome.refused:
            await self.consumer.bury(record, error)
        if batch:
            await self.consumer.commit(batch)
        self.metrics.count(outcome, batch)

    async def _delete_old(self) -> None:
        if time.monotonic() < self._next_deletion:
            return
        self._next_deletion = time.monotonic() + _RETENTION_SECONDS
        deleted = await asyncio.to_thread(self.recording.delete_old)
        if any(deleted.values()):
            logger.info("rows deleted by age: %s", deleted)

    def _recovered(self) -> None:
        if self._failures:
            logger.info("the database takes rows again")
        self._failures = 0
        self.state.trouble = None
        self.metrics.up.set(1)

    async def _wait(self, error: DatabaseError | DeliveryError) -> None:
        """Wait with full jitter, polls not too far apart for the group."""
        if self.state.trouble != str(error):  # a line a reason, not one a try
            logger.error("%s; nothing is lost, we try again by ourselves", error)
        self.state.trouble = str(error)
        self.metrics.up.set(0)
        self.metrics.failures.inc()
        ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        await asyncio.sleep(random.uniform(0.1, ceiling))


async def record(settings: Settings) -> None:
    """Record until cancelled.

    Raises
    ------
    GenrestreamError
        No broker or no database answers at start, or it cannot be used.
    """
    url = database_url(settings)
    recording = Recording(url, settings.retention_days)
    await asyncio.to_thread(recording.prepare)
    topics, metrics = Topics(settings.topic_prefix), RecorderMetrics()
    state = ServiceState(settings.stall_seconds)
    kinds = kinds_of_topics(topics)
    group = recorder_group(settings)
    metrics.service.serve(settings, state)
    try:
        async with group_consumer(settings, "recorder", group, list(kinds)) as consumer:
            logger.info("recording into %s", shown(url))
            await Recorder(consumer, recording, kinds, metrics, state).run()
    finally:
        recording.close()
