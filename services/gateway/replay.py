"""What a reader missed while it was away, read from the log again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.gateway.cursor import Partition
from services.gateway.events import Message
from services.kafka.security import client_options
from services.kafka.tansu_fixes import adapt_waits
from services.kafka.topics import Topics
from services.settings import FETCH_WAIT_MS, Settings

#: More than that is not replayed: the reader begins anew.
MAX_MESSAGES: Final = 200_000
_AT_ONCE: Final = 4
_BATCH: Final = 500
_FETCH_BYTES: Final = 1024 * 1024
#: Offset to begin with, and the one to end before.
Span = tuple[int, int]


def count_messages(begin: Mapping[Partition, int], end: Mapping[Partition, int]) -> int:
    """Count the messages between two places, at most."""
    return sum(max(0, end[tp] - start) for tp, start in begin.items())


class Replay:
    """Reads spans of the log, a few readers at a time.

    Parameters
    ----------
    settings
        Where the broker is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def messages(
        self, begin: Mapping[Partition, int], end: Mapping[Partition, int]
    ) -> AsyncIterator[Message]:
        """Yield the messages from one place up to another, each partition in its order."""
        topics = Topics(self._settings.topic_prefix)
        roles = {getattr(topics, role): role for role, _ in begin}
        spans = {
            TopicPartition(getattr(topics, role), number): (start, end[role, number])
            for (role, number), start in begin.items()
            if start < end[role, number]
        }
        if spans:
            async with self._slots:
                async for record in self._records(spans):
                    yield message_of(roles[record.topic], record)

    async def _records(self, spans: Mapping[TopicPartition, Span]) -> AsyncIterator[Any]:
        consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        try:
            await consumer.start()
            adapt_waits(consumer)
            consumer.assign(list(spans))
            for tp, (start, _) in spans.items():
                consumer.seek(tp, start)
            while waiting := [tp for tp in spans if await consumer.position(tp) < spans[tp][1]]:
                batches = await consumer.getmany(*waiting, timeout_ms=1000, max_records=_BATCH)
                for tp, records in batches.items():
                    for record in records:
                        if record.offset < spans[tp][1]:
                            yield record
        finally:
            await consumer.stop()


def message_of(role: str, record: Any) -> Message:
    """Take what the gateway needs of a record of aiokafka."""
    return Message(
        role, record.partition, record.offset, record.key, record.value, record.timestamp
    )
