"""Streams that fell silent, and states that no replay can need."""

import asyncio
import logging
import time
from collections.abc import Iterable
from itertools import islice
from typing import Final, Generic

from services.processing.closing import Open, close
from services.processing.core import Output, Saved, State
from services.processing.partition import Live, Partition, split_key
from services.processing.processor import Processor

logger = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 1.0
_SAVED_SWEEP_EVERY: Final = 10
#: A process that was away for longer may have lost its partitions: the shortest session is 3 s.
_STALL_SECONDS: Final = 3.0
#: Streams that are closed together; messages that come meanwhile wait for so many, not for all.
_TOGETHER: Final = 64


class Upkeep(Generic[State, Saved, Output]):
    """Closes idle streams and forgets what is over.

    Parameters
    ----------
    processor
        Whose streams and states they are.
    """

    def __init__(self, processor: Processor[State, Saved, Output]) -> None:
        self._processor = processor

    async def sweep(self) -> None:
        """Close idle streams, and drop what no replay can need, for ever."""
        while True:
            for _ in range(_SAVED_SWEEP_EVERY):
                await self._pause()
                if line := self._processor.outbox.summary():
                    logger.warning("%s", line)
                await self.close_idle()
            async with self._processor.processing:
                await self.sweep_saved()

    async def _pause(self) -> None:
        """Sleep; after a sleep much longer than asked for, begin to wait for streams anew.

        This process stood still: it may have lost its partitions and not know yet. What it ends
        now, their new owner may not.
        """
        before = time.monotonic()
        await asyncio.sleep(_SWEEP_SECONDS)
        now = time.monotonic()
        if now - before > _STALL_SECONDS:
            for partition in self._processor.partitions.values():
                partition.wait_anew(now)

    async def close_idle(self) -> None:
        """Close the streams that are idle, a few at a time."""
        timeout = self._processor.core.idle_timeout_seconds
        if timeout is None:
            return
        closed = _TOGETHER
        while closed:
            async with self._processor.processing:
                idle = list(islice(self._idle_since(time.monotonic() - timeout), _TOGETHER))
                closed = await close(self._processor, idle, self._processor.core.close, "idle")

    def _idle_since(self, moment: float) -> Iterable[Open[State, Saved]]:
        if self._processor.is_stopped:
            return
        for partition in self._processor.partitions.values():
            if self._is_caught_up(partition):
                for name, live in partition.live.items():
                    if live.touched < moment and name not in partition.late:
                        yield partition, name, live.state

    def _is_caught_up(self, partition: Partition[State, Saved]) -> bool:
        """Tell whether all of a partition was processed; only then is silence real."""
        log = self._processor.log
        end = log.end(partition.number)
        return end is not None and log.position(partition.number) >= end

    async def sweep_saved(self) -> None:
        """Go through the table: forget what is over, take up what waits for an end."""
        expired: dict[int, dict[str, bytes | None]] = {}
        for key in self._processor.saved:
            try:
                number, stream_id = split_key(key)
            except ValueError as error:
                logger.warning("a state is left alone: %s", error)
                continue
            partition = self._processor.partitions.get(number)
            if partition and self._take_up_or_forget(partition, stream_id, key):
                expired.setdefault(number, {})[key] = None
        for number, states in expired.items():
            await self._processor.log.save(number, states)

    def _take_up_or_forget(
        self, partition: Partition[State, Saved], stream_id: str, key: str
    ) -> bool:
        """Take an open stream up again; tell whether a state is over and may go."""
        if any(stream_id in some for some in (partition.live, partition.unsaved, partition.late)):
            return False
        processor = self._processor
        entry = processor.saved.entry(key)
        committed = processor.log.committed(partition.number)
        if not entry or processor.core.is_expired(entry[0], committed, time.time() - entry[1]):
            return True
        if processor.core.is_open(entry[0]):
            end = processor.log.end(partition.number)
            state = processor.saved.resume(stream_id, entry[0], end)
            if state is not None:
                partition.live[stream_id] = Live(state, partition.since)
        return False
