"""Batches that decompress to more than a worker has, or hold more messages than it should take."""

import time

import pytest
from aiokafka.errors import KafkaError

from tests.abuse.batches import Many, batch, lying, send_batch
from tests.abuse.beside import Beside, Workers, run

pytestmark = [pytest.mark.broker, pytest.mark.abuse, pytest.mark.timeout(600)]

#: What a batch decompresses to: 1,000 MB in one record, in 200, and in none of three million.
BOMBS = {
    "one": Many(1, 1_000_000_000, b"bomb"),
    "many": Many(200, 5_000_000, b"bomb"),
    "empty": Many(3_000_000, 0, None),
}


@pytest.mark.parametrize("topic", ["audio.chunks", "audio.features"])
@pytest.mark.parametrize("codec", ["zstd", "gzip", "lz4"])
@pytest.mark.parametrize("bomb", list(BOMBS))
def test_a_bomb(workers: Workers, codec: str, bomb: str, topic: str) -> None:
    records = BOMBS[bomb]
    if codec != "zstd" and (topic == "audio.features" or bomb == "empty"):
        pytest.skip("the other codecs are tried on one topic, and not where they are not asked")

    async def case(beside: Beside) -> None:
        data = batch(records, codec, timestamp_ms=round(1000 * time.time()))
        name = beside.settings.topic_prefix + topic
        first = await send_batch(beside.producer, name, 0, data, records.count)
        last = (0, first + records.count - 1)
        await beside.until(lambda: beside.answered([last], topic))
        assert beside.letter_at(last)[1].error == "message-too-large"

    run(workers, f"{bomb}-{codec}", case)


@pytest.mark.parametrize("topic", ["audio.chunks", "audio.features"])
def test_a_record_that_claims_to_be_longer_than_its_batch(
    workers: Workers, broker_kind: str, topic: str
) -> None:
    async def case(beside: Beside) -> None:
        data, name = lying(Many(1, 10, b"lies"), 2**31 - 1), beside.settings.topic_prefix + topic
        if broker_kind == "kafka":  # it looks at each record
            with pytest.raises(KafkaError):
                await send_batch(beside.producer, name, 0, data, 1)
            return
        place = (0, await send_batch(beside.producer, name, 0, data, 1))
        await beside.until(lambda: beside.answered([place], topic))

    run(workers, "lying", case)
