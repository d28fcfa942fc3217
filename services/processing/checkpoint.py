"""What happened since the last checkpoint, and the order in which it is made to last.

Everything rests on this order: what is delivered outlives a crash, so a state may call it done;
what is saved does too, so the messages behind it may be given up.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Generic

from services.processing.core import Output, Saved, State
from services.processing.log import Log
from services.processing.partition import Moved, Partition
from services.processing.saved_states import SavedStates


class Checkpoint(Generic[State, Saved, Output]):
    """Steps that are on their way.

    Parameters
    ----------
    log
        Takes states and offsets.
    saved
        The table of states.
    ours
        Gives the partitions that are ours when it is asked.
    """

    def __init__(
        self,
        log: Log,
        saved: SavedStates[State, Saved, Output],
        ours: Callable[[], Iterable[Partition[State, Saved]]],
    ) -> None:
        self._log = log
        self._saved = saved
        self._ours = ours
        self._steps: list[Moved[State, Saved, Output]] = []
        self._deliveries: list[asyncio.Task[Any]] = []

    def add(
        self, steps: Iterable[Moved[State, Saved, Output]], delivery: asyncio.Task[Any]
    ) -> None:
        """Take in steps, and what is done when all that came of them is delivered."""
        self._steps += steps
        self._deliveries.append(delivery)

    async def complete(self) -> None:
        """Make it last."""
        # 1. Deliver: what comes of the steps is with the broker.
        await self._deliver()
        # 2. Save: the states that call it done are in the changelog.
        await self._save()
        # 3. Release: the messages that no state needs are acknowledged.
        await self._release()

    async def _deliver(self) -> None:
        for delivery in self._deliveries:
            await delivery

    async def _save(self) -> None:
        latest: dict[Partition[State, Saved], dict[str, Saved]] = {}
        for partition, stream_id, step in self._steps:
            if step.saved is not None:
                latest.setdefault(partition, {})[stream_id] = step.saved
        await asyncio.gather(*(self._save_partition(p, states) for p, states in latest.items()))

    async def _save_partition(
        self, partition: Partition[State, Saved], states: dict[str, Saved]
    ) -> None:
        if partition.lost:
            return
        encoded = {partition.key(name): self._saved.encode(s) for name, s in states.items()}
        await self._log.save(partition.number, encoded)
        for name, saved in states.items():
            partition.forget_saved(name, saved)

    async def _release(self) -> None:
        for partition, _, step in self._steps:
            for offset in step.released:
                partition.offsets.release(offset)
        await self._log.commit(
            {p.number: p.offsets.committable(self._log.position(p.number)) for p in self._ours()}
        )
