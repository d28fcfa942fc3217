"""The processor's log on faust: what the consumer reads goes from here to the processor.

For each partition it keeps the *frontier*: the first offset that was not handed out. It moves on
only by a read that began at or before it; so what it passes over is not in the log (compaction,
retention, aborted records, the marks of transactions). A read that began behind it has passed
something over, by whatever fault or race: the consumer goes back.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from schemas import Headers, Place
from services.processing.log import Message
from services.processing.records import Record

logger = logging.getLogger(__name__)

#: Records of all partitions that wait for the processor: more than it takes in 20 ms.
_ROOM: Final = 64
#: Bytes of them.
_ROOM_BYTES: Final = 32 * 1024 * 1024
#: The end of the year 9999: no clock that is right goes beyond.
_LATEST_MS: Final = 253_402_300_799_000


class Broker(Protocol):
    """What the log needs of faust; `services.kafka.faust_fixes.App` is one."""

    async def publish(self, message: Message) -> Awaitable[object]:
        """Hand a message over."""

    def end_offset(self, partition: int) -> int | None:
        """Return the end of a partition, as heard a moment ago."""

    async def commit_offsets(self, offsets: Mapping[int, int]) -> bool:
        """Commit offsets of the source topic; tell whether that went well."""

    async def crash(self, reason: BaseException) -> None:
        """End this process."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a read of a partition brought.

    Attributes
    ----------
    begin, end
        Offsets that it began at, and that the next one begins at.
    records
        aiokafka's records.
    """

    begin: int
    end: int
    records: Sequence[Any]


@dataclass(eq=False)
class Position:
    """Where we are in a partition that is ours, and what of it waits for the processor."""

    frontier: int
    committed: int | None
    waiting: deque[Record] = field(default_factory=deque)
    nbytes: int = 0
    is_held: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether there is something to hand out."""
        return bool(self.waiting) and not self.is_held

    def put(self, record: Any) -> None:
        """Let one of aiokafka's records wait."""
        if record.offset > self.frontier:
            span = f"{self.frontier} to {record.offset - 1}"
            logger.info("%s[%d]: the log has no offset %s", record.topic, record.partition, span)
        taken = to_record(record)
        self.waiting.append(taken)
        self.nbytes += taken.size
        self.frontier = record.offset + 1

    def take(self) -> Record:
        """Hand out the first record that waits."""
        record = self.waiting.popleft()
        self.nbytes -= record.size
        return record

    def put_back(self, record: Record) -> None:
        """Let a record wait before all others."""
        self.waiting.appendleft(record)
        self.nbytes += record.size


class FaustLog:
    """The source topic and the changelog of a worker.

    Parameters
    ----------
    broker
        Does what needs a broker.
    changelog
        Name of the changelog topic.
    states
        What faust recovers from it.
    """

    def __init__(self, broker: Broker, changelog: str, states: MutableMapping[str, bytes]) -> None:
        self._broker = broker
        self._changelog = changelog
        self._states = states
        self._arrived = asyncio.Event()
        self._places: dict[int, Position] = {}
        self._order: deque[int] = deque()

    # -- for the consumer --------------------------------------------------------------------

    def open(self, begins: Mapping[int, int], committed: Mapping[int, int]) -> None:
        """Begin with partitions at these offsets; some of them are what is committed."""
        self.close()
        self._places = {n: Position(begin, committed.get(n)) for n, begin in begins.items()}
        self._order = deque(self._places)

    def close(self) -> None:
        """Forget all partitions, and what waits."""
        self._places = {}
        self._order.clear()
        self._arrived.clear()

    def begin_again(self, reads: Mapping[int, Read]) -> dict[int, int]:
        """Return where to go back to: where a read began behind what is handed out."""
        return {
            number: place.frontier
            for number, read in reads.items()
            if (place := self._places.get(number)) and read.begin > place.frontier
        }

    @property
    def full(self) -> set[int]:
        """The partitions for more of which there is no room; each has its share in any case."""
        places = self._places.values()
        count = sum(len(place.waiting) for place in places)
        nbytes = sum(place.nbytes for place in places)
        if count < _ROOM and nbytes < _ROOM_BYTES:
            return set()
        share = 1 / len(places)
        return {
            number
            for number, place in self._places.items()
            if len(place.waiting) >= share * _ROOM or place.nbytes >= share * _ROOM_BYTES
        }

    def put(self, reads: Mapping[int, Read]) -> None:
        """Let records wait for the processor.

        Parameters
        ----------
        reads
            By partition.
        """
        for number, read in reads.items():
            if place := self._places.get(number):
                for record in read.records:
                    if record.offset >= place.frontier:
                        place.put(record)
                place.frontier = max(place.frontier, read.end)
        self._note_what_waits()

    def _note_what_waits(self) -> None:
        if any(place.is_ready for place in self._places.values()):
            self._arrived.set()
        else:
            self._arrived.clear()

    # -- for the processor -------------------------------------------------------------------

    @property
    def states(self) -> MutableMapping[str, bytes]:
        """Saved states by key."""
        return self._states

    async def wait(self) -> None:
        """Wait until there is something to take."""
        await self._arrived.wait()

    def take(self, most: int) -> list[Record]:
        """Take records that wait, so many at most, of each partition in turn."""
        found: list[Record] = []
        ready = deque(place for n in self._order if (place := self._places[n]).is_ready)
        self._order.rotate(-1)  # the next time another one is the first
        while ready and len(found) < most:
            place = ready.popleft()
            found.append(place.take())
            if place.waiting:
                ready.append(place)
        self._note_what_waits()
        return found

    def put_back(self, records: Sequence[Record]) -> None:
        """Let records of partitions that are still ours wait again, before all others."""
        for record in reversed(records):
            self._places[record.place.partition].put_back(record)
        self._note_what_waits()

    def hold(self, partition: int, held: bool) -> None:
        """Hand out nothing of a partition while it is held."""
        if place := self._places.get(partition):
            place.is_held = held
            self._note_what_waits()

    async def send(self, message: Message) -> Awaitable[object]:
        """Hand a message over; what comes back is done when the broker has it."""
        return await self._broker.publish(message)

    async def save(self, partition: int, states: Mapping[str, bytes | None]) -> None:
        """Write states to the changelog, and to the table once they are delivered.

        The last state goes alone: the embedded broker (Tansu) takes the first record of the last
        batch for the end of a log, and recovery reads up to the end.
        """
        place, keys = self._places.get(partition), list(states)
        now_ms = round(1000 * time.time())
        for some in (keys[:-1], keys[-1:]):
            pending = [
                await self.send(self._state(key, states[key], partition, now_ms)) for key in some
            ]
            for acknowledgement in pending:
                await acknowledgement
        if place and self._places.get(partition) is place:
            for key, value in states.items():
                if value is None:
                    self._states.pop(key, None)
                else:
                    self._states[key] = value

    def _state(self, key: str, value: bytes | None, partition: int, now_ms: int) -> Message:
        encoded = msgspec.json.encode(key)
        return Message(self._changelog, encoded, value, [], now_ms, partition)

    def position(self, partition: int) -> int:
        """Return the offset from which on `take` has handed out nothing."""
        place = self._places.get(partition)
        if place is None:
            return 0
        try:
            return place.waiting[0].place.offset
        except IndexError:
            return place.frontier

    def end(self, partition: int) -> int | None:
        """Return the offset behind the last message; ``None`` when nothing was heard lately."""
        return self._broker.end_offset(partition)

    def committed(self, partition: int) -> int | None:
        """Return the offset from which a new owner would begin, if known."""
        place = self._places.get(partition)
        return place.committed if place else None

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit offsets that are news; never one behind what was handed out."""
        places = {n: place for n in offsets if (place := self._places.get(n))}
        news = {n: offsets[n] for n, place in places.items() if _is_news(offsets[n], place)}
        for number, offset in news.items():
            if offset > self.position(number):
                raise AssertionError(f"offset {offset} of partition {number} was not handed out")
        if news and await self._broker.commit_offsets(news):
            for number, offset in news.items():
                places[number].committed = offset

    async def crash(self, error: Exception) -> None:
        """End this process: it must not go on."""
        await self._broker.crash(error)


def _is_news(offset: int, place: Position) -> bool:
    return offset > 0 if place.committed is None else offset > place.committed


def to_record(record: Any) -> Record:
    """Return a record of aiokafka free of Kafka."""
    return Record(
        place=Place(record.topic, record.partition, record.offset),
        timestamp_ms=min(max(record.timestamp or 0, 0), _LATEST_MS),
        key=record.key,
        value=record.value or b"",
        headers=_header_list(record.headers),
        fault=getattr(record.value, "fault", None),
    )


def _header_list(headers: Iterable[tuple[str, bytes | None]]) -> Headers:
    """Leave out headers whose value is null: they are as good as absent."""
    return [(name, value) for name, value in headers if value is not None]
