"""What an ordinary transactional producer does: it holds its own partition up, and nothing else."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from tests.abuse.beside import Beside, limited_workers, run
from tests.broker.harness import Message, fresh_settings
from tests.faults.load import MODEL

pytestmark = [pytest.mark.broker, pytest.mark.abuse, pytest.mark.timeout(300)]

_STALL_SECONDS = 5.0


def test_an_open_transaction_and_streams_that_end_idle(brokers: str, broker_kind: str) -> None:
    """Health stays well, and the idle stream of that partition ends though a mark is its last."""
    if broker_kind == "embedded":
        pytest.skip("the embedded broker has no transactions")
    settings = fresh_settings(brokers, "open.", model=MODEL, partitions=2, idle_timeout_seconds=4.0)

    async def case(beside: Beside) -> None:
        topic = settings.topic_prefix + "audio.chunks"
        pcm = [("content-type", b"audio/pcm;rate=22050;channels=1;encoding=s16le")]
        await beside.send([Message(bytes(4 * 22_050), b"idle", pcm, partition=0)])
        writer = AIOKafkaProducer(bootstrap_servers=brokers, transactional_id=beside.name)
        async with writer:
            for ends in (writer.commit_transaction, writer.abort_transaction):
                await writer.begin_transaction()
                await writer.send_and_wait(topic, b"junk", partition=0)
                await asyncio.sleep(3 * _STALL_SECONDS)  # long enough for health to see a stall
                await ends()
        await beside.until(lambda: beside.is_over("idle") and len(beside.letters) == 1)

    with limited_workers(settings, GENRESTREAM_STALL_SECONDS=str(_STALL_SECONDS)) as workers:
        run(workers, "open", case, partitions=(1,))
