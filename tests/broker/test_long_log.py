"""The embedded broker takes long to find what is in a long partition; readers wait for it."""

import asyncio

from aiokafka import AIOKafkaProducer

from services.kafka.clients import reading
from services.kafka.embedded_broker import embedded_broker
from services.kafka.topics import Topics
from services.settings import Settings
from tests.broker.harness import fresh_settings

BATCHES = 40_000
PRODUCERS = 8


async def fill(settings: Settings, topic: str) -> None:
    """Write a partition message by message, so that each is a batch."""

    async def write() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
        async with producer:
            for _ in range(BATCHES // PRODUCERS):
                await producer.send_and_wait(topic, b"x" * 100, partition=0)

    await asyncio.gather(*(write() for _ in range(PRODUCERS)))


async def read(settings: Settings, topic: str) -> int:
    async with reading(settings, [topic], from_beginning=True) as reader:
        return len([record async for record in reader.messages_so_far()])


def test_a_long_partition_is_read_to_its_end() -> None:
    with embedded_broker() as address:
        settings = fresh_settings(address, "long.")
        topic = Topics(settings.topic_prefix).chunks
        asyncio.run(fill(settings, topic))
        assert asyncio.run(asyncio.wait_for(read(settings, topic), 60)) == BATCHES
