"""What was heard of stations before: the last chunk of each, read back from the log."""

import asyncio
import time
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas import decode_chunk
from schemas.errors import InputError
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.receiver.cutting import chunk_seconds
from services.receiver.receiver import Heard
from services.settings import Settings

#: Chunks of a partition that are read back: those of a minute for 100 stations in it.
_MAX_BACK: Final = 2000
_FRESH_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 10.0


class History:
    """The ends of the chunk partitions, read when a station is taken over."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heard: dict[str, Heard] = {}
        self._read = float("-inf")
        self._lock = asyncio.Lock()

    async def last(self, station_id: str) -> Heard | None:
        """Return what was heard of a station last; ``None`` where it is long ago, or never."""
        async with self._lock:
            if time.monotonic() - self._read > _FRESH_SECONDS:
                try:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        self._heard = await self._read_ends()
                except (TimeoutError, KafkaError):
                    self._heard = {}
                self._read = time.monotonic()
        return self._heard.get(station_id)

    async def _read_ends(self) -> dict[str, Heard]:
        reader = TopicReader(self._settings, [Topics(self._settings.topic_prefix).chunks])
        await reader.start()
        try:
            consumer = reader._connected()
            heard = dict[str, Heard]()
            for partition, span in (await reader.offsets()).items():
                if span:
                    await _read_end(consumer, partition, span, heard)
            return heard
        finally:
            await reader.stop()


async def _read_end(
    consumer: AIOKafkaConsumer, partition: TopicPartition, span: range, heard: dict[str, Heard]
) -> None:
    consumer.seek(partition, max(span.start, span.stop - _MAX_BACK))
    while await consumer.position(partition) < span.stop:
        batches = await consumer.getmany(partition, timeout_ms=1000)
        for record in batches.get(partition, ()):
            try:
                chunk = decode_chunk(record.key, record.value, record.headers)
            except InputError:
                continue
            if chunk.stream_id and chunk.sequence is not None and chunk.captured_at is not None:
                end = chunk.captured_at / 1000 + chunk_seconds(chunk.data)
                heard[chunk.stream_id] = Heard(chunk.sequence, end)
