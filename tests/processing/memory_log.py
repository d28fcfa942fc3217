"""A log in memory, for the processor: what outlives a crash is in `Disk`, all else in `MemoryLog`.

A crash comes at any durable act (a delivery, a saved state, a commit): from then on nothing is
durable any more. Between any two acts other workers may write, too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.processing.log import Message
from services.processing.records import Progress, Record

#: Turns of the event loop that a delivery takes.
_TURNS = 20


class Crash(Exception):
    """The process is gone."""


@dataclass
class Disk:
    """What outlives a crash: the source, what was sent, the states, and the committed offset."""

    source: list[Record] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    states: dict[str, bytes] = field(default_factory=dict)
    changes: list[tuple[str, bytes | None]] = field(default_factory=list)
    committed: int = 0
    owner: object = None

    def recovered(self, progress: Callable[[bytes], Progress]) -> dict[str, bytes]:
        """Return the states as a new owner reads them: of each stream the furthest."""
        found: dict[str, bytes] = {}
        for key, value in self.changes:
            if value is None:
                found.pop(key, None)
            elif key not in found or progress(value) >= progress(found[key]):
                found[key] = value
        return found


@dataclass
class MemoryLog:
    """One owner's view of partition 0; its acts last until `acts` of them were done.

    Parameters
    ----------
    disk
        What outlives it.
    recovered
        The states as they were when it became the owner.
    acts
        After so many durable acts it crashes; ``None`` for never.
    """

    disk: Disk
    recovered: dict[str, bytes]
    acts: int | None = None
    taken: int = field(init=False)
    waiting: list[Record] = field(default_factory=list)
    held: bool = False
    crashed: bool = False

    def __post_init__(self) -> None:
        self.disk.owner = self
        self.taken = self.disk.committed

    def act(self) -> None:
        """Count a durable act, or crash instead of it."""
        if self.acts is not None:
            if self.acts == 0 or self.crashed:
                self.crashed = True
                raise Crash
            self.acts -= 1

    @property
    def states(self) -> dict[str, bytes]:
        return self.recovered

    async def wait(self) -> None:
        """Nothing waits here: tests take by themselves."""

    def take(self, most: int) -> list[Record]:
        if self.held:
            return []
        found = (self.waiting + self.disk.source[self.taken :])[:most]
        self.taken += len(found) - len(self.waiting[:most])
        del self.waiting[:most]
        return found

    def put_back(self, records: Sequence[Record]) -> None:
        self.waiting[:0] = records
        offsets = [record.place.offset for record in self.waiting]
        assert offsets == sorted(set(offsets))

    def hold(self, partition: int, held: bool) -> None:
        self.held = held

    async def send(self, message: Message) -> Awaitable[object]:
        await asyncio.sleep(0)  # others may act meanwhile
        return _Delivery(self, message)

    async def save(self, partition: int, states: Mapping[str, bytes | None]) -> None:
        for key, value in states.items():
            self.act()
            self.disk.changes.append((key, value))
            if value is None:
                self.recovered.pop(key, None)
            else:
                self.recovered[key] = value

    def position(self, partition: int) -> int:
        return self.waiting[0].place.offset if self.waiting else self.taken

    def end(self, partition: int) -> int | None:
        return len(self.disk.source)

    def committed(self, partition: int) -> int | None:
        return self.disk.committed

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit, as long as the group knows this one as the owner."""
        self.act()
        if self.disk.owner is self and 0 in offsets:
            assert offsets[0] <= self.position(0), "what is committed was not taken"
            self.disk.committed = max(self.disk.committed, offsets[0])

    async def crash(self, error: Exception) -> None:
        if not isinstance(error, Crash) and "Crash" not in str(error):
            raise error


@dataclass
class _Delivery(Awaitable[object]):
    """A message on its way: it is there only once somebody waited for it, the worst case."""

    log: MemoryLog
    message: Message

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._arrive().__await__()

    async def _arrive(self) -> None:
        for _ in range(_TURNS):  # whoever does not wait for it is quicker
            await asyncio.sleep(0)
        self.log.act()
        self.log.disk.sent.append(self.message)
