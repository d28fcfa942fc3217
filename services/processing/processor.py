"""The stream processor: take, process, deliver, save, release.

What waits is taken together; while it is processed more is fetched, and what came before is
delivered. `checkpoint` says in which order that is made to last.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Final, Generic

from services.processing.advancing import Advancer, Outcome, Steps
from services.processing.checkpoint import Checkpoint
from services.processing.closing import close_largest
from services.processing.core import Core, Output, Outputs, Saved, State, Turn
from services.processing.late import Late
from services.processing.log import Log
from services.processing.observers import Meter, Tracing
from services.processing.outbox import Outbox, Parcel
from services.processing.partition import Partition
from services.processing.records import Record
from services.processing.saved_states import SavedStates

logger = logging.getLogger(__name__)

#: Messages that are taken together at most. What comes of one waits for all of them, so that with
#: twice as many half load has twice the latency; with half as many the throughput falls by 3 %.
MAX_TOGETHER: Final = 32
#: How often states are saved, and what they cover is acknowledged: a killed worker repeats so much.
SAVE_SECONDS: Final = 1.0

#: Messages of one stream that wait together: its partition, its id, and they.
Waiting = tuple[Partition[State, Saved], str, list[Record]]


class Processor(Generic[State, Saved, Output]):
    """Runs a core on the partitions that are ours.

    Parameters
    ----------
    log
        What is read, and written to.
    core
        What to do with a message.
    outputs
        Where to write.
    meter
        What counts the work.
    tracing
        What carries trace context on.
    memory
        Bytes that open streams may take together.

    Attributes
    ----------
    partitions
        Those that are ours, by number.
    is_assigned
        Whether the group has given us our share, be it none, and its states are recovered.
    """

    def __init__(
        self,
        log: Log,
        core: Core[State, Saved, Output],
        outputs: Outputs,
        meter: Meter,
        tracing: Tracing,
        memory: int = sys.maxsize,
    ) -> None:
        self.log = log
        self.core = core
        self.saved = SavedStates(log.states, core)
        self.outbox = Outbox(log, core, outputs, meter)
        self.advancer = Advancer(core, meter)
        self.late = Late(log, self._process_late)
        self.partitions: dict[int, Partition[State, Saved]] = {}
        self.is_assigned = False
        self.is_stopped = False
        #: Held while messages are in hand.
        self.processing = asyncio.Lock()
        self._meter = meter
        self._tracing = tracing
        self._memory = memory
        self._batch_ms: int | None = None
        self._saving = asyncio.Lock()
        self._checkpoint = self._new_checkpoint()

    # -- to be seen from other threads -------------------------------------------------------

    @property
    def live_streams(self) -> int:
        """Number of open streams."""
        return sum(len(partition.live) for partition in list(self.partitions.values()))

    @property
    def positions(self) -> dict[int, int]:
        """Next offset to process, by partition that is ours."""
        late = self.late.firsts
        return {n: late.get(n, self.log.position(n)) for n in list(self.partitions)}

    @property
    def in_hand_ms(self) -> int | None:
        """Timestamp of the oldest message in hand; others tell the lag to live by it."""
        known = [ms for ms in (self._batch_ms, self.late.oldest_ms) if ms is not None]
        return min(known, default=None)

    # -- consuming ---------------------------------------------------------------------------

    async def consume(self) -> None:
        """Process what comes, until this is stopped."""
        while not self.is_stopped:
            await self.log.wait()
            async with self.processing:
                await self.process_waiting()

    async def process_waiting(self) -> None:
        """Process what waits; end the worker rather than go on with a hole in the log."""
        if self.is_stopped:
            return
        records = self.log.take(MAX_TOGETHER)
        self._batch_ms = min((record.timestamp_ms for record in records), default=None)
        try:
            await self._process(records)
            await close_largest(self, self._memory)
        except Exception as error:
            logger.exception("cannot go on after %s", records[0].place if records else "-")
            await self.log.crash(error)
            raise
        finally:
            self._batch_ms = None

    async def _process(self, records: Sequence[Record]) -> None:
        """Take in messages that wait together, and hand over what comes of them."""
        waiting = list(self._take_in(records))
        began_ns = time.time_ns()
        turns = [Turn(self._state(partition, name), some) for partition, name, some in waiting]
        outcomes = await self.advancer.advance(turns)
        parcel: Parcel[State, Saved, Output] = Parcel()
        for (partition, name, some), outcome in zip(waiting, outcomes, strict=True):
            for record, steps in zip(some, outcome.steps, strict=False):
                await self._put(parcel, partition, name, record, steps, began_ns)
        self._leave_over(waiting, outcomes)  # no sooner: its streams are where it goes on now
        await self.hand_over(parcel)

    async def _put(
        self,
        parcel: Parcel[State, Saved, Output],
        partition: Partition[State, Saved],
        name: str,
        record: Record,
        steps: Steps[State, Saved, Output],
        began_ns: int,
    ) -> None:
        self._meter.consumed(record.place)
        with self._tracing.span(record, began_ns) as traceparent:
            for step in steps:
                await self.outbox.put(parcel, partition, name, step, record, traceparent)

    def _leave_over(
        self,
        waiting: Sequence[Waiting[State, Saved]],
        outcomes: Sequence[Outcome[State, Saved, Output]],
    ) -> None:
        """Let what was not begun wait again, and what takes long go on beside the others."""
        unbegun: list[Record] = []
        for (partition, name, some), outcome in zip(waiting, outcomes, strict=True):
            rest = some[len(outcome.steps) :]
            if outcome.takes_long:
                self.late.add(partition, name, rest)
            elif not partition.lost:
                unbegun += rest
                partition.unbegun.update(record.place.offset for record in rest)
        if not self.advancer.is_halted:
            self.log.put_back(sorted(unbegun, key=lambda record: record.place.offset))

    async def _process_late(
        self, partition: Partition[State, Saved], name: str, record: Record
    ) -> bool:
        """Process a message that takes long; tell whether that was still ours to do."""
        began_ns = time.time_ns()
        steps = await self.advancer.advance_patiently(self._state(partition, name), record)
        async with self.processing:
            if partition.lost or self.advancer.is_halted:
                return False
            parcel: Parcel[State, Saved, Output] = Parcel()
            await self._put(parcel, partition, name, record, steps, began_ns)
            await self.hand_over(parcel)
        return True

    def _take_in(self, records: Iterable[Record]) -> Iterable[Waiting[State, Saved]]:
        """Note messages as needed, all before the first await; give them by stream."""
        streams: dict[tuple[int, str], Waiting[State, Saved]] = {}
        for record in records:
            partition = self.partitions.get(record.place.partition)
            if partition is None or not partition.take(record):
                continue
            name = self.core.stream_id(record)
            if name in partition.late:
                self.late.add(partition, name, [record])
            else:
                entry = (partition, name, list[Record]())
                streams.setdefault((partition.number, name), entry)[2].append(record)
        return streams.values()

    def _state(self, partition: Partition[State, Saved], stream_id: str) -> State | None:
        if stream_id in partition.live:
            return partition.live[stream_id].state
        key = partition.key(stream_id)
        saved = partition.unsaved.get(stream_id) or self.saved.load(key)
        if saved is None:
            return None
        return self.saved.resume(stream_id, saved, self.log.end(partition.number))

    async def hand_over(self, parcel: Parcel[State, Saved, Output]) -> None:
        """Let a parcel be delivered, and the next checkpoint cover it."""
        if parcel.steps:
            delivery = await self.outbox.dispatch(parcel)
            self._checkpoint.add(parcel.steps, delivery)

    # -- checkpoints -------------------------------------------------------------------------

    def _new_checkpoint(self) -> Checkpoint[State, Saved, Output]:
        return Checkpoint(self.log, self.saved, lambda: self.partitions.values())

    async def save_regularly(self) -> None:
        """Complete a checkpoint every second, for ever."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.complete_checkpoint()

    async def complete_checkpoint(self) -> None:
        """Deliver, save and release what was handed over so far."""
        async with self._saving:
            checkpoint, self._checkpoint = self._checkpoint, self._new_checkpoint()
            await checkpoint.complete()

    # -- partitions come and go --------------------------------------------------------------

    def open(self, numbers: Iterable[int]) -> None:
        """Begin with partitions that are ours, and whose states are recovered."""
        now = time.monotonic()
        self.partitions = {number: Partition(number, now) for number in numbers}
        self.is_assigned = True

    async def drain(self) -> None:
        """Finish what is in hand; the rest stays in the log."""
        self.advancer.halt()
        async with self.processing:
            await self.complete_checkpoint()

    async def stop(self) -> None:
        """Finish what is in hand, and begin with nothing more."""
        self.is_stopped = True
        await self.drain()

    async def lose_all(self) -> None:
        """Finish what is in hand and forget the rest: the next owner replays it from the log."""
        self.is_assigned = False
        try:
            await self.drain()
        finally:  # else a worker that goes on would pass over all that comes
            for partition in self.partitions.values():
                partition.lost = True
            self.partitions = {}
            self.advancer.resume()
