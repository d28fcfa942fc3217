"""Messages that take long wait for each other, and nobody waits for them."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from schemas import Place
from schemas.errors import InputError
from services.processing.closing import close_largest
from services.processing.core import TakesLong
from services.processing.late import MAX_BYTES, MAX_MESSAGES, Late
from services.processing.partition import Partition
from services.processing.records import Record, Step
from services.processing.remembering import sweep_saved
from tests.processing.test_advancing import Collector, Seen, SeenStep
from tests.processing.worlds import World

_SECONDS = 10.0


@dataclass
class Log:
    """Knows which partitions are held."""

    held: dict[int, bool] = field(default_factory=dict)
    crashes: list[Exception] = field(default_factory=list)

    def hold(self, partition: int, held: bool) -> None:
        """Note it."""
        self.held[partition] = held

    async def crash(self, error: Exception) -> None:
        """Note it."""
        self.crashes.append(error)


@dataclass
class Processing:
    """Takes down what is processed, a message whenever it is let go."""

    order: list[tuple[int, str, int]] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    fails: bool = False

    async def __call__(self, partition: Any, name: str, record: Record) -> bool:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        async with asyncio.timeout(_SECONDS):
            await self.gate.acquire()
        self.under_way -= 1
        if self.fails:
            raise ZeroDivisionError
        self.order.append((partition.number, name, record.place.offset))
        return not partition.lost


def a_record(offset: int, partition: int = 0, size: int = 1) -> Record:
    return Record(Place("t", partition, offset), 1000 - offset, b"k", bytes(size))


async def turns(of: int = 20) -> None:
    """Let all tasks come to where they wait."""
    for _ in range(of):
        await asyncio.sleep(0)


async def let_go(processing: Processing, count: int) -> None:
    for _ in range(count):
        processing.gate.release()
        await turns()


def late(log: Log, processing: Processing) -> Late[Any, Any]:
    return Late(log, processing)  # type: ignore[arg-type]


def test_one_is_processed_at_a_time_of_each_partition_and_stream_in_turn() -> None:
    async def living() -> Processing:
        processing = Processing()
        waiting = late(Log(), processing)
        ours: list[Partition[Any, Any]] = [Partition(n, 0.0) for n in range(2)]
        waiting.add(ours[0], "a", [a_record(0), a_record(3)])
        waiting.add(ours[0], "b", [a_record(1)])
        waiting.add(ours[1], "c", [a_record(7, 1)])
        waiting.add(ours[0], "a", [a_record(4)])
        assert waiting.firsts == {0: 0, 1: 7}
        oldest_ms = waiting.oldest_ms
        assert oldest_ms == 993
        await turns()
        await let_go(processing, 5)
        await waiting.rest()
        assert not any(partition.late for partition in ours)
        assert not waiting.firsts
        assert waiting.oldest_ms is None
        assert waiting.done == 5
        return processing

    processing = asyncio.run(living())
    assert processing.most == 1
    assert processing.order == [(0, "a", 0), (1, "c", 7), (0, "b", 1), (0, "a", 3), (0, "a", 4)]


def test_a_partition_with_too_many_is_held_until_it_has_fewer() -> None:
    async def living() -> None:
        log, processing = Log(), Processing()
        waiting = late(log, processing)
        ours: list[Partition[Any, Any]] = [Partition(n, 0.0) for n in range(2)]
        waiting.add(ours[0], "a", [a_record(n) for n in range(MAX_MESSAGES - 1)])
        waiting.add(ours[1], "a", [a_record(0, 1)])
        assert log.held == {0: False, 1: False}
        waiting.add(ours[0], "b", [a_record(99)])
        assert log.held == {0: True, 1: False}
        await let_go(processing, 1)
        assert log.held == {0: False, 1: False}
        await let_go(processing, MAX_MESSAGES)
        await waiting.rest()

    asyncio.run(living())


def test_all_that_have_some_are_held_when_they_take_too_many_bytes() -> None:
    async def living() -> None:
        log, processing = Log(), Processing()
        waiting = late(log, processing)
        ours: list[Partition[Any, Any]] = [Partition(n, 0.0) for n in range(2)]
        waiting.add(ours[0], "a", [a_record(0)])
        waiting.add(ours[1], "a", [a_record(0, 1, MAX_BYTES)])
        assert log.held == {0: True, 1: True}
        await let_go(processing, 2)
        await waiting.rest()
        assert log.held == {0: False, 1: False}

    asyncio.run(living())


def test_nothing_more_is_processed_of_a_partition_that_is_lost() -> None:
    async def living() -> tuple[Log, Processing]:
        log, processing = Log(), Processing()
        waiting = late(log, processing)
        ours: Partition[Any, Any] = Partition(0, 0.0)
        waiting.add(ours, "a", [a_record(n) for n in range(MAX_MESSAGES)])
        await turns()
        ours.lost = True
        log.held.clear()  # it is another's by now, or ours anew
        await let_go(processing, 2)
        await waiting.rest()
        assert (waiting.firsts, waiting.done) == ({}, 0)
        return log, processing

    log, processing = asyncio.run(living())
    assert len(processing.order) == 1
    assert log.held == {}


def test_a_fault_ends_the_worker() -> None:
    async def living() -> Log:
        log, processing = Log(), Processing(fails=True)
        waiting = late(log, processing)
        waiting.add(Partition(0, 0.0), "a", [a_record(0), a_record(1)])
        await let_go(processing, 1)
        await waiting.rest()
        return log

    assert [type(error) for error in asyncio.run(living()).crashes] == [ZeroDivisionError]


@dataclass
class Sometimes(Collector):
    """Takes long for `long`: as long as `gate` is closed."""

    idle_timeout_seconds: float | None = 10.0
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def advance(self, state: Seen | None, record: Record) -> Sequence[SeenStep]:
        if record.value == b"long":
            raise TakesLong(partial(self._go_on, state, record))
        return super().advance(state, record)

    def _go_on(self, state: Seen | None, record: Record) -> Sequence[SeenStep]:
        self.begun.set()
        assert self.gate.wait(_SECONDS)
        return super().advance(state, record)


def _records(*messages: tuple[str, bytes], since: int = 0) -> list[Record]:
    return [
        Record(Place("t", 0, offset), 0, key.encode(), value)
        for offset, (key, value) in enumerate(messages, since)
    ]


def _world(core: Sometimes, *messages: tuple[str, bytes]) -> World:
    return World(core, _records(*messages))


async def _begin(world: World, core: Sometimes) -> None:
    await world.happen("come", len(world.waiting))
    await world.happen("process", 0)
    assert await asyncio.to_thread(core.begun.wait, _SECONDS)


def _values(world: World, stream: str) -> tuple[bytes, ...]:
    (partition,) = world.processor.partitions.values()
    return partition.live[stream].state.values if stream in partition.live else ()


def _in_hand(world: World) -> tuple[int | None, dict[int, int]]:
    return world.processor.in_hand_ms, world.processor.positions


def test_others_go_on_beside_it_and_its_own_stream_waits() -> None:
    async def living() -> None:
        core = Sometimes()
        world = _world(
            core, ("a", b"x"), ("a", b"long"), ("b", b"y"), ("a", b"z"), ("b", b"y"), ("a", b"z")
        )
        await _begin(world, core)
        assert (_values(world, "a"), _values(world, "b")) == ((b"x",), (b"y", b"y"))
        assert _in_hand(world) == (0, {0: 1})
        await world.happen("checkpoint", 0)
        assert world.disk.committed == 1, "the long message is needed"
        world.disk.source += _records(("a", b"z"), ("b", b"y"), since=6)
        await world.happen("process", 0)
        assert (_values(world, "a"), _values(world, "b")) == ((b"x",), (b"y",) * 3)
        core.gate.set()
        await world.happen("rest", 0)
        assert _values(world, "a") == (b"x", b"long", b"z", b"z", b"z")
        await world.happen("checkpoint", 0)
        assert world.disk.committed == 8
        assert _in_hand(world) == (None, {0: 8})

    asyncio.run(living())


def test_it_begins_with_what_came_before_it_in_its_batch() -> None:
    """Letters of other messages are sent first, and others may act meanwhile."""

    async def living() -> None:
        core = Sometimes()
        core.gate.set()
        world = _world(core, ("b", b"fail"), ("a", b"x"), ("a", b"long"))
        await world.happen("come", 3)
        await world.happen("process", 0)
        await world.happen("rest", 0)
        assert _values(world, "a") == (b"x", b"long")

    asyncio.run(living())


def test_its_stream_is_not_idle() -> None:
    closed: list[Seen] = []

    class Closing(Sometimes):
        def close(self, state: Seen) -> Any:
            closed.append(state)
            return [Step(None)]

    async def living() -> None:
        core = Closing()
        world = _world(core, ("a", b"x"), ("a", b"long"), ("b", b"y"))
        await _begin(world, core)
        await world.happen("idle", 0)
        assert [state.values for state in closed] == [(b"y",)]
        core.gate.set()
        await world.happen("rest", 0)

    asyncio.run(living())


def test_its_stream_is_not_ended_for_memory() -> None:
    """Others are; nor is it taken up again from what is saved while it is under way."""
    shed: list[Seen] = []

    class Shedding(Sometimes):
        def shed(self, state: Seen, reason: InputError) -> Sequence[SeenStep]:
            shed.append(state)
            return [Step(None)]

    async def living() -> None:
        core = Shedding()
        world = _world(core, ("a", b"x" * 9), ("a", b"long"), ("b", b"y"))
        await _begin(world, core)
        await close_largest(world.processor, 0)
        assert [state.values for state in shed] == [(b"y",)]
        core.gate.set()
        await world.happen("rest", 0)

    asyncio.run(living())


def test_what_is_saved_of_its_stream_is_left_alone() -> None:
    async def living() -> None:
        core = Sometimes()
        world = _world(core, ("a", b"x"), ("a", b"long"))
        await world.happen("come", 1)
        await world.happen("process", 0)
        await world.happen("checkpoint", 0)
        await world.happen("revoke", 0)
        assert list(world.log.states) == ["0/a"]
        await _begin(world, core)
        await sweep_saved(world.processor)
        assert not world.processor.partitions[0].live
        core.gate.set()
        await world.happen("rest", 0)
        assert _values(world, "a") == (b"x", b"long")

    asyncio.run(living())


@pytest.mark.parametrize("end", ["lose_all", "stop"])
def test_nobody_waits_for_it_at_the_end(end: str) -> None:
    """What comes of it after that is dropped: the next owner has it in the log."""

    async def living() -> None:
        core = Sometimes()
        world = _world(core, ("b", b"y"), ("a", b"long"))
        await _begin(world, core)
        partitions = list(world.processor.partitions.values())
        async with asyncio.timeout(_SECONDS):
            await getattr(world.processor, end)()
        assert world.disk.committed == 1
        core.gate.set()
        await world.happen("rest", 0)
        assert [list(partition.live) for partition in partitions] == [["b"]]
        await world.happen("checkpoint", 0)
        assert world.disk.committed == 1

    asyncio.run(living())
