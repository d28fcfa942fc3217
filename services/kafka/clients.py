"""Producing chunks and reading predictions, as the command line and the demo do it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas import AudioChunk, encode_chunk_headers
from services.kafka.aiokafka_fixes import tolerate_batches
from services.kafka.security import client_options, explain_refusal
from services.kafka.tansu_fixes import adapt_waits
from services.kafka.topics import Topics, require_topics
from services.settings import FETCH_WAIT_MS, MAX_MESSAGE_BYTES, Settings

_MAX_REQUEST_BYTES = MAX_MESSAGE_BYTES + 64 * 1024
#: Kafka's own delivery.timeout.ms: a producer goes on when a broker comes back within that time.
DELIVERY_SECONDS = 120
_POLL_MS = 1000


@asynccontextmanager
async def chunk_producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Connect a producer that takes messages of up to 5 MB; it flushes at the end.

    Raises
    ------
    BrokerError
        No broker answers, or the topic does not exist.
    """
    await require_topics(settings, [Topics(settings.topic_prefix).chunks], "write")
    producer = AIOKafkaProducer(
        **client_options(settings),
        max_request_size=_MAX_REQUEST_BYTES,
        request_timeout_ms=1000 * DELIVERY_SECONDS,
        acks="all",
    )
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        raise await explain_refusal(settings) from error
    try:
        yield producer
    finally:
        await producer.stop()


async def send_chunk(
    producer: AIOKafkaProducer, settings: Settings, chunk: AudioChunk
) -> asyncio.Future[object]:
    """Hand over a chunk; the future that comes back is done when it is delivered."""
    future: asyncio.Future[object] = await producer.send(
        Topics(settings.topic_prefix).chunks,
        value=chunk.data,
        key=chunk.stream_id.encode() if chunk.stream_id else None,
        headers=encode_chunk_headers(chunk),
    )
    return future


class Connection:
    """A consumer that is connected when it is first asked for, to ask a broker things.

    Parameters
    ----------
    settings
        Where the broker is.
    options
        Of the consumer, as aiokafka takes them.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._settings = settings
        self._options = options
        self._consumer: AIOKafkaConsumer | None = None

    async def consumer(self) -> AIOKafkaConsumer:
        """Return the consumer."""
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._settings), enable_auto_commit=False, **self._options
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        """Disconnect; who asks again is connected again."""
        consumer, self._consumer = self._consumer, None
        if consumer:
            await consumer.stop()


class TopicReader:
    """Reads whole topics without a consumer group, from their end or their beginning."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = topics
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: list[TopicPartition] = []

    async def start(self, *, from_beginning: bool = False) -> None:
        """Take up the position; what is produced after this returns is read.

        Raises
        ------
        BrokerError
            No broker answers, or a topic does not exist.
        """
        counts = await require_topics(self._settings, self._topics, "read")
        tolerate_batches()
        consumer = self._consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=_MAX_REQUEST_BYTES,
        )
        await consumer.start()
        adapt_waits(consumer)
        partitions = self._partitions = [
            TopicPartition(topic, number)
            for topic, count in counts.items()
            for number in range(count)
        ]
        consumer.assign(partitions)
        if from_beginning:
            await consumer.seek_to_beginning(*partitions)
            return
        for partition, offset in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, offset)

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer:
            await self._consumer.stop()

    async def messages(self) -> AsyncIterator[Any]:
        """Yield aiokafka's records as they arrive, for ever."""
        assert self._consumer, "start the reader first"
        async for message in self._consumer:
            yield message

    async def messages_so_far(self) -> AsyncIterator[Any]:
        """Yield the records that are there by now, each partition in its order, and stop."""
        held = await self.offsets()
        consumer = self._connected()
        for tp, span in held.items():
            consumer.seek(tp, span.start)
        while waiting := [tp for tp in held if await consumer.position(tp) < held[tp].stop]:
            batches = await consumer.getmany(*waiting, timeout_ms=_POLL_MS)
            for tp, records in batches.items():
                for record in records:
                    if record.offset < held[tp].stop:
                        yield record

    async def offsets(self) -> dict[TopicPartition, range]:
        """Tell which offsets each partition holds; the position is lost by that."""
        consumer = self._connected()
        begins = await consumer.beginning_offsets(self._partitions)
        ends = await consumer.end_offsets(self._partitions)
        held = {tp: range(begins[tp], ends[tp]) for tp in self._partitions}
        return {
            tp: range(span.start, await self._end(tp, span.stop)) if span else span
            for tp, span in held.items()
        }

    async def _end(self, partition: TopicPartition, claimed: int) -> int:
        """Return the end of a partition that holds something.

        The embedded broker claims the end to be one after the first record of the last batch; what
        it says with a fetch is right.
        """
        consumer = self._connected()
        consumer.seek(partition, claimed - 1)
        while await consumer.position(partition) < claimed:
            await consumer.getmany(partition, timeout_ms=_POLL_MS)
        return max(claimed, consumer.highwater(partition) or 0)

    async def message_at(self, partition: TopicPartition, offset: int) -> Any:
        """Return the record at an offset that `offsets` lists, or the next one after it."""
        consumer = self._connected()
        consumer.seek(partition, offset)
        return await consumer.getone(partition)

    def _connected(self) -> AIOKafkaConsumer:
        assert self._consumer, "start the reader first"
        return self._consumer


@asynccontextmanager
async def reading(
    settings: Settings, topics: Sequence[str], *, from_beginning: bool = False
) -> AsyncIterator[TopicReader]:
    """Connect a reader for the duration of an ``async with`` block; raises as `start` does."""
    reader = TopicReader(settings, topics)
    try:
        await reader.start(from_beginning=from_beginning)
        yield reader
    finally:
        await reader.stop()
