"""A worker on a log in memory: it crashes, loses its partition, and comes back."""

import asyncio
import contextlib
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas import Event, FeatureVector, GenrePrediction, GenreSegment, Place, encode_event
from services.processing.advancing import PATIENCE_SECONDS, Advancer
from services.processing.core import Core, Outputs
from services.processing.processor import Processor
from services.processing.records import Record, Step
from services.processing.remembering import sweep_saved
from services.processing.saved_states import SavedStates
from services.processing.upkeep import Upkeep
from tests.processing.memory_log import Crash, Disk, MemoryLog

OUTPUTS = Outputs(
    {FeatureVector: "features", GenrePrediction: "predictions", GenreSegment: "segments"}, "letters"
)

#: What may happen to a worker; `rest` is that all that takes long is through, `idle` that all its
#: streams were silent for long.
Happening = Literal["come", "process", "rest", "idle", "checkpoint", "crash", "revoke", "zombie"]


class Silent:
    """Counts and traces nothing."""

    def consumed(self, place: Place) -> None:
        """Count nothing."""

    def processed(self, seconds: float, messages: int = 1) -> None:
        """Count nothing."""

    def delivered(self, step: Step[Any, Any, Any], topics: Outputs, now: float) -> None:
        """Count nothing."""

    def span(self, record: Record | None, began_ns: int) -> Any:
        """Trace nothing."""
        return nullcontext()


@dataclass
class World:
    """A topic, and the worker that owns it.

    Parameters
    ----------
    core
        What the worker does.
    waiting
        What producers will send.
    patience
        After so many seconds it begins no message.
    """

    core: Core[Any, Any, Any]
    waiting: list[Record]
    patience: float = PATIENCE_SECONDS
    disk: Disk = field(default_factory=Disk)
    zombies: list[tuple[MemoryLog, Processor[Any, Any, Any]]] = field(default_factory=list)
    crashes: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self, acts: int | None = None) -> None:
        """Let a fresh process own the partition."""
        progress = SavedStates({}, self.core).progress
        self.log = MemoryLog(self.disk, self.disk.recovered(progress), acts)
        silent = Silent()
        self.processor: Processor[Any, Any, Any] = Processor(
            self.log, self.core, OUTPUTS, silent, silent
        )
        self.processor.advancer = Advancer(self.core, silent, self.patience)
        self.processor.open([0])

    async def happen(self, happening: Happening, number: int) -> None:
        """Let something happen; a crash on the way is followed by a new process."""
        with contextlib.suppress(Crash):
            await self._happen(happening, number)
        if self.log.crashed:
            self.crashes += 1
            self.start()

    async def _happen(self, happening: Happening, number: int) -> None:
        match happening:
            case "come":
                self.disk.source.extend(self.waiting[:number])
                del self.waiting[:number]
            case "process":
                await self.processor.process_waiting()
            case "rest":
                await self.processor.late.rest()
            case "idle":
                await self._close_idle(self.processor)
            case "checkpoint":
                await self.processor.complete_checkpoint()
            case "crash":
                self.log.acts = number
            case "revoke":
                await self.processor.lose_all()
                self.start()
            case "zombie":
                self.zombies.append((self.log, self.processor))
                self.start()

    async def _close_idle(self, processor: Processor[Any, Any, Any]) -> None:
        await sweep_saved(processor)
        for partition in processor.partitions.values():
            partition.wait_anew(-1e9)
        await Upkeep(processor).close_idle()

    async def run(self, story: Iterable[tuple[Happening, int]]) -> None:
        """Live through a story, then let the rest come and end all streams in peace."""
        for happening, number in story:
            await self.happen(happening, number)
        for _, zombie in self.zombies:  # it wakes, and writes what it had in hand
            with contextlib.suppress(Crash):
                await zombie.lose_all()
        self.log.acts = None
        self.start()
        await self._happen("come", len(self.waiting))
        while self.log.position(0) < len(self.disk.source):
            await self._happen("process", 0)
            await self._happen("rest", 0)
        await self._happen("checkpoint", 0)
        await self._happen("idle", 0)
        await self._happen("checkpoint", 0)

    @property
    def values(self) -> dict[str, set[bytes]]:
        """What was published, by event id."""
        found: dict[str, set[bytes]] = {}
        for message in self.disk.sent:
            if message.topic != "letters":
                name = dict(message.headers)["ce_id"].decode()
                found.setdefault(name, set()).add(message.value or b"")
        return found

    @property
    def letters(self) -> set[tuple[bytes, bytes]]:
        """Offset and reason of the dead letters."""
        headers = [dict(m.headers) for m in self.disk.sent if m.topic == "letters"]
        return {(h["dead_letter_offset"], h["dead_letter_error"]) for h in headers}


def live(
    core: Core[Any, Any, Any],
    waiting: list[Record],
    story: Iterable[Any],
    patience: float = PATIENCE_SECONDS,
) -> World:
    """Live through a story in an event loop of its own."""

    async def living() -> World:
        world = World(core, waiting, patience)
        await world.run(story)
        return world

    return asyncio.run(living())


def encoded(events: Iterable[Event]) -> dict[str, set[bytes]]:
    """Return events as `World.values` has them."""
    found: dict[str, set[bytes]] = {}
    for event in events:
        found.setdefault(event.event_id, set()).add(encode_event(event))
    return found
