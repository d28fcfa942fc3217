import asyncio
from dataclasses import dataclass, field
from typing import Any

from schemas import Place
from services.processing.records import Record
from tests.processing.test_advancing import Collector, Seen, SeenStep
from tests.processing.worlds import World


@dataclass
class Peeking(Collector):
    """Looks from inside at what the processor says it has in hand."""

    worlds: list[World] = field(default_factory=list)
    seen: list[int | None] = field(default_factory=list)

    def advance(self, state: Seen | None, record: Record) -> list[SeenStep]:
        self.seen.append(self.worlds[0].processor.in_hand_ms)
        return list(super().advance(state, record))


def _records(*timestamps_ms: int) -> list[Record]:
    return [
        Record(Place("chunks", 0, offset), timestamp_ms, b"a", b"x")
        for offset, timestamp_ms in enumerate(timestamps_ms)
    ]


def test_the_oldest_message_in_hand_counts_until_all_of_it_is_processed() -> None:
    async def living() -> tuple[list[int | None], Any]:
        core = Peeking()
        world = World(core, _records(7_000, 5_000, 9_000))
        core.worlds.append(world)
        assert world.processor.in_hand_ms is None
        await world.happen("come", 3)
        await world.happen("process", 0)
        return core.seen, world.processor.in_hand_ms

    seen, after = asyncio.run(living())
    assert seen
    assert set(seen) == {5_000}
    assert after is None
