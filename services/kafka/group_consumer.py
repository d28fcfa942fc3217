"""A consumer of a group for services without state: batches, acknowledged by hand."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from aiokafka.structs import ConsumerRecord

from schemas import Place, dead_letter_headers
from schemas.errors import InputError, MessageError
from services.kafka.aiokafka_fixes import tolerate_batches
from services.kafka.errors import DeliveryError
from services.kafka.rights import require_rights
from services.kafka.security import client_options, explain_refusal
from services.kafka.tansu_fixes import adapt_waits
from services.kafka.topics import Topics
from services.settings import FETCH_WAIT_MS, MAX_MESSAGE_BYTES, Settings

logger = logging.getLogger(__name__)

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]

_POLL_MS = 500
#: Of one partition, so that what is fetched ahead is bounded.
_FETCH_BYTES = 1024 * 1024
_MAX_REQUEST_BYTES = 2 * (MAX_MESSAGE_BYTES + 64 * 1024)


class GroupConsumer:
    """Batches of some topics; nothing is acknowledged but by `commit`.

    Parameters
    ----------
    consumer
        aiokafka's, started.
    producer
        For dead letters, started.
    topics
        The topics.
    service
        Name of the service.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, topics: Topics, service: str
    ) -> None:
        self.producer = producer
        self._consumer = consumer
        self._topics = topics
        self._service = service

    @property
    def is_assigned(self) -> bool:
        """Whether the group has given us a share."""
        return bool(self._consumer.assignment())

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that are ours."""
        return frozenset(self._consumer.assignment())

    async def poll(self, max_records: int) -> Batch:
        """Return the next messages, none after half a second without any."""
        batch: Batch = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=max_records)
        return batch

    def rewind(self, batch: Batch) -> None:
        """Let the messages of a batch come again; those of partitions that are gone come elsewhere.

        Nothing of it is kept in memory.
        """
        mine = self._consumer.assignment()
        for partition, records in batch.items():
            if partition in mine:
                self._consumer.seek(partition, records[0].offset)

    async def commit(self, batch: Batch) -> None:
        """Acknowledge a batch; where that fails it comes again, which does no harm."""
        offsets = {partition: records[-1].offset + 1 for partition, records in batch.items()}
        mine = self._consumer.assignment()
        ours = {partition: offset for partition, offset in offsets.items() if partition in mine}
        try:
            await self._consumer.commit(ours)
        except (CommitFailedError, KafkaError) as error:
            logger.warning("offsets are not committed, messages come again: %r", error)

    async def bury(self, record: ConsumerRecord, error: InputError) -> None:
        """Put a message into the dead-letter topic, and wait until it is there.

        Raises
        ------
        DeliveryError
            It is not.
        """
        place = Place(record.topic, record.partition, record.offset)
        original = [(name, value or b"") for name, value in record.headers]
        headers = dead_letter_headers(place, record.timestamp, self._service, error, original)
        logger.warning("%s becomes a dead letter: %s", place, error)
        try:
            await self.producer.send_and_wait(
                self._topics.dead_letters, record.value, key=record.key, headers=headers
            )
        except KafkaError as failure:
            raise DeliveryError(f"a dead letter is not delivered: {failure!r}") from failure

    async def bury_value(self, topic: str, key: str, value: bytes, reason: str) -> None:
        """Put something of our own into the dead-letter topic."""
        error = MessageError(reason)
        headers = dead_letter_headers(Place(topic, 0, 0), 0, self._service, error, [])
        await self.producer.send_and_wait(
            self._topics.dead_letters, value, key=key.encode(), headers=headers
        )


@asynccontextmanager
async def group_consumer(
    settings: Settings, service: str, group: str, topics: Sequence[str]
) -> AsyncIterator[GroupConsumer]:
    """Join a group for the duration of an ``async with`` block.

    Raises
    ------
    BrokerError
        No broker answers, or a topic does not exist.
    """
    names = Topics(settings.topic_prefix)
    await require_rights(settings, service)
    tolerate_batches()
    options: dict[str, Any] = client_options(settings)
    consumer = AIOKafkaConsumer(
        **options,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=round(1000 * settings.session_timeout_seconds),
        heartbeat_interval_ms=round(1000 * settings.session_timeout_seconds / 5),
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    producer = AIOKafkaProducer(**options, acks="all", max_request_size=_MAX_REQUEST_BYTES)
    consumer.subscribe(list(topics))
    try:
        await consumer.start()
        adapt_waits(consumer)
        await producer.start()
        yield GroupConsumer(consumer, producer, names, service)
    except KafkaError as error:
        raise await explain_refusal(settings, error) from error
    finally:
        await producer.stop()
        await consumer.stop()
