"""Messages that take long, beside all others.

A stream that has one goes on here, in the order of its log, until none of its messages waits. One
message is processed at a time, of each partition in turn: it takes much memory, and one thread.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Final, Generic

from services.processing.core import Saved, State
from services.processing.log import Log
from services.processing.partition import Partition
from services.processing.records import Record

logger = logging.getLogger(__name__)

#: Late messages of a partition; then it is held: its other streams wait, too.
MAX_MESSAGES: Final = 16
#: Bytes of those of all partitions; then each that has some is held.
MAX_BYTES: Final = 32 * 1024 * 1024


class Late(Generic[State, Saved]):
    """Streams that wait for a message that takes long.

    Parameters
    ----------
    log
        Holds partitions that have too many.
    process
        Processes a message of a stream and hands over what comes of it; tells whether that was
        still ours to do.

    Attributes
    ----------
    done
        Number of messages that were processed.
    firsts
        Offset of the first message that waits, by partition.
    oldest_ms
        Timestamp of the oldest one.
    """

    def __init__(
        self,
        log: Log,
        process: Callable[[Partition[State, Saved], str, Record], Awaitable[bool]],
    ) -> None:
        self._log = log
        self._process = process
        self._turn = asyncio.Lock()
        self._lanes: dict[Partition[State, Saved], asyncio.Task[None]] = {}
        self.done = 0
        self.firsts: dict[int, int] = {}
        self.oldest_ms: int | None = None

    def add(
        self, partition: Partition[State, Saved], stream_id: str, records: Sequence[Record]
    ) -> None:
        """Let messages of a stream wait here, behind those that do."""
        partition.late.setdefault(stream_id, deque()).extend(records)
        if partition not in self._lanes:
            self._lanes[partition] = asyncio.create_task(self._run(partition))
        self._balance()

    async def rest(self) -> None:
        """Wait until nothing is late."""
        while self._lanes:
            await asyncio.wait(self._lanes.values())

    async def _run(self, partition: Partition[State, Saved]) -> None:
        """Process what is late in a partition; end the worker rather than leave a message out."""
        try:
            is_ours = True
            while partition.late and is_ours:
                async with self._turn:
                    is_ours = await self._process_first(partition)
        except Exception as error:
            logger.exception("cannot go on in partition %d", partition.number)
            await self._log.crash(error)
        finally:
            del self._lanes[partition]
            self._balance()

    async def _process_first(self, partition: Partition[State, Saved]) -> bool:
        """Process a message; tell whether the partition still was ours after that."""
        stream_id, records = next(iter(partition.late.items()))
        if partition.lost or not await self._process(partition, stream_id, records[0]):
            return False
        self.done += 1
        records.popleft()
        del partition.late[stream_id]
        if records:  # it is another stream's turn
            partition.late[stream_id] = records
        self._balance()
        return True

    def _balance(self) -> None:
        """Hold partitions of which too much waits; note how things stand, for other threads."""
        waiting = {
            partition: [record for records in partition.late.values() for record in records]
            for partition in self._lanes
            if not partition.lost
        }
        records = list(chain(*waiting.values()))
        is_full = sum(record.size for record in records) > MAX_BYTES
        for partition, some in waiting.items():
            self._log.hold(partition.number, bool(some) and (is_full or len(some) >= MAX_MESSAGES))
        self.firsts = {
            partition.number: min(record.place.offset for record in some)
            for partition, some in waiting.items()
            if some
        }
        self.oldest_ms = min((record.timestamp_ms for record in records), default=None)
