"""What a writer has in an open transaction is no lag, and its end marks are no messages."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from services.kafka.group_lag import LagReader
from services.kafka.topics import Topics
from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.faults.brokers import Broker

pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(120)]


async def _ends(settings: Settings) -> list[int]:
    """Return the end of partition 0 before, within and after a transaction of one message."""
    topic = Topics(settings.topic_prefix).chunks
    reader = LagReader(settings, f"{settings.topic_prefix}group", topic, 1)
    writer = AIOKafkaProducer(bootstrap_servers=settings.brokers, transactional_id="writer")
    ends = []
    try:
        async with writer:
            await writer.begin_transaction()
            await writer.send_and_wait(topic, b"first", partition=0)
            ends.append((await reader.read())[0].end)
            await writer.commit_transaction()
            async with asyncio.timeout(30):  # the broker writes its mark after it has answered
                while (end := (await reader.read())[0].end) == 0:
                    await asyncio.sleep(0.05)
            ends.append(end)
    finally:
        await reader.close()
    return ends


def test_an_open_transaction_is_no_lag(kafka: Broker) -> None:
    settings = fresh_settings(kafka.address, "open.")
    assert asyncio.run(_ends(settings)) == [0, 2]  # the message, and the mark of its end
