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
from itertools import chain, zip_longest
from typing import Any, Final, Protocol

import msgspec

from schemas import Headers, Place
from services.processing.log import Message
from services.processing.records import Record

logger = logging.getLogger(__name__)

#: Records that wait for the processor; 4096 times 132 kB of audio were 540 MB.
_ROOM: Final = 32
#: Bytes of them: a message has up to 5 MB.
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
    """Where we are in a partition that is ours."""

    frontier: int
    committed: int | None
    waiting: deque[int] = field(default_factory=deque)


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
        self._queue: deque[Record] = deque()
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._places: dict[int, Position] = {}

    # -- for the consumer --------------------------------------------------------------------

    def open(self, begins: Mapping[int, int], committed: Mapping[int, int]) -> None:
        """Begin with partitions at these offsets; some of them are what is committed."""
        self.close()
        self._places = {n: Position(begin, committed.get(n)) for n, begin in begins.items()}

    def close(self) -> None:
        """Forget all partitions, and what waits."""
        self._places = {}
        self._queue.clear()
        self._queued_bytes = 0
        self._arrived.clear()
        self._room.set()

    def begin_again(self, reads: Mapping[int, Read]) -> dict[int, int]:
        """Return where to go back to: where a read began behind what is handed out."""
        return {
            number: place.frontier
            for number, read in reads.items()
            if (place := self._places.get(number)) and read.begin > place.frontier
        }

    async def put(self, reads: Mapping[int, Read], suspended: asyncio.Event) -> None:
        """Let records wait for the processor, by turns of their partitions.

        Parameters
        ----------
        reads
            By partition.
        suspended
            Ends it while there is no room: what is not put comes again.
        """
        places = {n: place for n in reads if (place := self._places.get(n))}
        for record in _by_turns(read.records for n, read in reads.items() if n in places):
            place = places[record.partition]
            if record.offset < place.frontier:
                continue
            if self._is_full and not await self._has_room(suspended):
                return
            if self._places.get(record.partition) is not place:
                return
            self._put(place, record)
        for number, place in places.items():
            place.frontier = max(place.frontier, reads[number].end)

    def _put(self, place: Position, record: Any) -> None:
        if record.offset > place.frontier:
            span = f"{place.frontier} to {record.offset - 1}"
            logger.info("%s[%d]: the log has no offset %s", record.topic, record.partition, span)
        taken = to_record(record)
        self._queue.append(taken)
        self._queued_bytes += taken.size
        place.waiting.append(record.offset)
        place.frontier = record.offset + 1
        self._arrived.set()

    @property
    def _is_full(self) -> bool:
        return len(self._queue) >= _ROOM or self._queued_bytes >= _ROOM_BYTES

    async def _has_room(self, suspended: asyncio.Event) -> bool:
        self._room.clear()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._room, suspended)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not suspended.is_set()

    # -- for the processor -------------------------------------------------------------------

    @property
    def states(self) -> MutableMapping[str, bytes]:
        """Saved states by key."""
        return self._states

    async def wait(self) -> None:
        """Wait until there is something to take."""
        await self._arrived.wait()

    def take(self, most: int) -> list[Record]:
        """Take the records that wait, so many at most."""
        found = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        for record in found:
            self._places[record.place.partition].waiting.popleft()
            self._queued_bytes -= record.size
        if not self._queue:
            self._arrived.clear()
        self._room.set()
        return found

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
                self._put_state(key, value)

    def _state(self, key: str, value: bytes | None, partition: int, now_ms: int) -> Message:
        encoded = msgspec.json.encode(key)
        return Message(self._changelog, encoded, value, [], now_ms, partition)

    def _put_state(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._states.pop(key, None)
        else:
            self._states[key] = value

    def position(self, partition: int) -> int:
        """Return the offset from which on `take` has handed out nothing."""
        place = self._places.get(partition)
        if place is None:
            return 0
        return place.waiting[0] if place.waiting else place.frontier

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


def _by_turns(sequences: Iterable[Sequence[Any]]) -> Iterable[Any]:
    """Yield the first of each, then the second of each, and so on."""
    return (item for item in chain(*zip_longest(*sequences)) if item is not None)


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
