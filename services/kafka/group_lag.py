"""How far a consumer group is behind, as the broker sees it: of running groups and stopped ones."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.kafka.clients import Connection
from services.kafka.errors import BrokerError
from services.settings import Settings

Answer = TypeVar("Answer")

#: A broker that takes longer to tell two offsets counts as one that does not answer.
ANSWER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """Where a group stands in a partition.

    Attributes
    ----------
    partition
        Its number.
    committed
        Offset from which the group would go on; the beginning of the log when it has none.
    end
        Offset behind all that can be read: the begin of the first open transaction, or else the
        offset that the next message will have.
    """

    partition: int
    committed: int
    end: int

    @property
    def messages(self) -> int:
        """Number of messages that are not acknowledged; those of open windows are among them."""
        return max(0, self.end - self.committed)


class LagReader:
    """Asks the broker for the offsets of a group, without being a member of it.

    Parameters
    ----------
    settings
        The settings.
    group, topic, partitions
        The group, and the topic that it reads, with so many partitions.
    """

    def __init__(self, settings: Settings, group: str, topic: str, partitions: int) -> None:
        self.group = group
        self.topic = topic
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._connection = Connection(
            settings,
            group_id=group,
            isolation_level="read_committed",  # what nobody can read yet is no lag
        )

    async def read(self) -> list[PartitionLag]:
        """Return where the group stands in each partition.

        Raises
        ------
        BrokerError
            No broker answers in time; the next call connects anew.
        """
        return await self._ask(self._read)

    async def read_committed(self) -> dict[int, int]:
        """Return the committed offset of each partition in which the group has one.

        Raises
        ------
        BrokerError
            As `read` does.
        """
        committed = await self._ask(self._committed)
        return {place.partition: offset for place, offset in committed.items()}

    async def _ask(self, question: Callable[[AIOKafkaConsumer], Awaitable[Answer]]) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await question(await self._connection.consumer())
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise BrokerError(f"no broker tells the offsets of {self.topic}: {error!r}") from error

    async def _committed(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        # committed() asks for one partition; this is what it calls, for all of them at once.
        known = await consumer._coordinator.fetch_committed_offsets(self._places)
        return {place: known[place].offset for place in known if known[place].offset >= 0}

    async def _read(self, consumer: AIOKafkaConsumer) -> list[PartitionLag]:
        ends = await consumer.end_offsets(self._places)
        committed = await self._committed(consumer)
        new = [place for place in self._places if place not in committed]
        if new:
            committed |= await consumer.beginning_offsets(new)
        return [PartitionLag(p.partition, committed[p], ends[p]) for p in self._places]

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()


async def read_once(readers: Sequence[LagReader]) -> list[list[PartitionLag]]:
    """Read several groups and disconnect.

    Raises
    ------
    BrokerError
        No broker answers.
    """
    try:
        return list(await asyncio.gather(*(reader.read() for reader in readers)))
    finally:
        for reader in readers:
            await reader.close()
