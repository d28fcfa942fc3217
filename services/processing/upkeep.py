"""What a worker does beside its messages: it closes streams that fell silent, and forgets."""

import asyncio
import logging
import time
from collections.abc import Iterable
from itertools import islice
from typing import Final, Generic

from services.processing.closing import Open, close
from services.processing.core import Output, Saved, State
from services.processing.partition import Partition
from services.processing.processor import Processor
from services.processing.remembering import sweep_saved

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
        """Close idle streams, and go through what is saved, for ever."""
        while True:
            for _ in range(_SAVED_SWEEP_EVERY):
                await self._pause()
                if line := self._processor.outbox.summary():
                    logger.warning("%s", line)
                await self.close_idle()
            await sweep_saved(self._processor)

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
