"""Which places hold a chunk by now: the origins that feature vectors name are compared with them.

A vector that no extractor made may name a place that the log has not reached. The true windows of
its stream would count as older ones.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from schemas import Place
from services.kafka.clients import Connection
from services.settings import FETCH_WAIT_MS, Settings

logger = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 5.0
_POLL_MS: Final = 500


class ChunkEnds:
    """The ends of the partitions of the chunk topic, asked for when an origin lies beyond.

    For one thread, which waits meanwhile: a vector is in the log later than its chunks, so an end
    that is asked for behind it is right.

    Parameters
    ----------
    settings
        Where the broker is.
    topic, partitions
        The topic, with so many partitions.
    """

    def __init__(self, settings: Settings, topic: str, partitions: int) -> None:
        self._topic = topic
        self._ends = dict.fromkeys(range(partitions), 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection = Connection(settings, fetch_max_wait_ms=FETCH_WAIT_MS)
        self._claims_hold = False

    def unsent(self, places: Collection[Place]) -> frozenset[Place]:
        """Return those where no chunk is; none while no broker answers."""
        if beyond := self._beyond(places):
            ours = {p.partition for p in beyond if self._is_ours(p)}
            if ours and not self._ask(ours, beyond):
                beyond = {place for place in beyond if not self._is_ours(place)}
        return frozenset(self._beyond(beyond))

    def _is_ours(self, place: Place) -> bool:
        return place.topic == self._topic and place.partition in self._ends

    def _beyond(self, places: Collection[Place]) -> set[Place]:
        return {
            place
            for place in places
            if not self._is_ours(place) or place.offset >= self._ends[place.partition]
        }

    def _ask(self, partitions: set[int], beyond: set[Place]) -> bool:
        """Learn the ends of partitions; tell whether the broker answered."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        try:
            self._loop.run_until_complete(self._learn(partitions, beyond))
        except (KafkaError, OSError, TimeoutError) as error:
            logger.warning("the ends of %s are not known: %r", self._topic, error)
            self._loop.run_until_complete(self._connection.close())
            return False
        return True

    async def _learn(self, partitions: set[int], beyond: set[Place]) -> None:
        async with asyncio.timeout(_ANSWER_SECONDS):
            consumer = await self._connection.consumer()
            places = [TopicPartition(self._topic, number) for number in sorted(partitions)]
            ends = await consumer.end_offsets(places)
            self._ends |= {tp.partition: end for tp, end in ends.items()}
            for tp in places:
                claimed = ends[tp]
                if any(p.partition == tp.partition and p.offset >= claimed for p in beyond):
                    self._ends[tp.partition] = await self._heard(consumer, tp, claimed)

    async def _heard(self, consumer: AIOKafkaConsumer, tp: TopicPartition, claimed: int) -> int:
        """Return the end that comes with a fetch: the embedded broker claims too low a one.

        Who may not read the topic is not on that broker, which has no rights.
        """
        if self._claims_hold or not claimed:
            return claimed
        consumer.assign([tp])
        consumer.seek(tp, claimed - 1)
        try:
            while await consumer.position(tp) < claimed:
                await consumer.getmany(tp, timeout_ms=_POLL_MS)
            return max(claimed, consumer.highwater(tp) or 0)
        except TopicAuthorizationFailedError:
            self._claims_hold = True
            return claimed
        finally:
            consumer.unsubscribe()
