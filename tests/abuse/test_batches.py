"""Batches that decompress to more than a worker has."""

import time

import pytest

from tests.abuse.batches import Many, batch, send_batch
from tests.abuse.beside import Beside, Workers, run

pytestmark = [pytest.mark.broker, pytest.mark.abuse, pytest.mark.timeout(600)]

#: What a batch decompresses to: 1,000 MB in one record, in 200, and in a million of 1 kB.
BOMBS = {"one": Many(1, 1_000_000_000, b"bomb"), "many": Many(200, 5_000_000, b"bomb")}


@pytest.mark.parametrize("codec", ["zstd", "gzip", "lz4"])
@pytest.mark.parametrize("bomb", list(BOMBS))
def test_a_thousand_megabytes_of_zeros(workers: Workers, codec: str, bomb: str) -> None:
    records = BOMBS[bomb]

    async def case(beside: Beside) -> None:
        topic = beside.settings.topic_prefix + "audio.chunks"
        data = batch(records, codec, timestamp_ms=round(1000 * time.time()))
        first = await send_batch(beside.producer, topic, 0, data, records.count)
        places = [(0, first + number) for number in range(records.count)]
        await beside.until(lambda: beside.answered(places), 120.0)

    run(workers, f"{bomb}-{codec}", case)


def test_three_million_empty_records(workers: Workers) -> None:
    count = 3_000_000

    async def case(beside: Beside) -> None:
        topic = beside.settings.topic_prefix + "audio.chunks"
        data = batch(Many(count, 0, b"empty"), "zstd", timestamp_ms=round(1000 * time.time()))
        await send_batch(beside.producer, topic, 0, data, count)
        await beside.until(lambda: len(beside.letters) > 2000, 60.0)

    run(workers, "empty", case)
