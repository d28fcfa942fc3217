"""Idle streams are closed, and what is saved is taken up or forgotten."""

import asyncio
from typing import Any

import msgspec
import pytest

from schemas import Place
from services.extractor.extractor import Extractor
from services.extractor.state import Cursor, Heard
from services.processing import closing, remembering
from services.processing.processor import Processor
from services.processing.records import Record
from services.processing.remembering import sweep_saved
from services.processing.saved_states import SavedStates
from services.processing.upkeep import Upkeep
from tests.extractor.streams import RECIPE
from tests.processing.memory_log import Disk, MemoryLog
from tests.processing.worlds import OUTPUTS, Silent

EXTRACTOR = Extractor(RECIPE)
OPEN = Cursor(Place("audio.chunks", 0, 5), 3, 11, Heard(0))


def processor(**states: Any) -> Processor[Any, Any, Any]:
    encode = SavedStates({}, EXTRACTOR).encode
    held = {
        key: value if isinstance(value, bytes) else encode(value) for key, value in states.items()
    }
    silent, disk = Silent(), Disk()
    disk.source += [Record(Place("audio.chunks", 0, n), 0, None, b"") for n in range(11)]
    return Processor(MemoryLog(disk, held), EXTRACTOR, OUTPUTS, silent, silent)


def sweep(of: Processor[Any, Any, Any], ours: int) -> set[str]:
    of.open([ours])
    asyncio.run(sweep_saved(of))
    return set(of.partitions[ours].live)


def test_an_open_stream_is_taken_up() -> None:
    assert sweep(processor(**{"0/s": OPEN}), ours=0) == {"s"}


def test_one_from_the_future_is_not() -> None:
    for forged in (
        msgspec.structs.replace(OPEN, offset=12),
        msgspec.structs.replace(OPEN, closes_at=12),
        msgspec.structs.replace(OPEN, window_index=2**53 + 1),
    ):
        assert not sweep(processor(**{"0/s": forged}), ours=0)


def test_what_is_held_of_other_partitions_stays() -> None:
    """Between two assignments nothing is ours, and what stays ours is not recovered again."""
    swept = processor(**{"0/s": OPEN})
    assert not sweep(swept, ours=1)
    assert list(swept.log.states) == ["0/s"]


@pytest.mark.parametrize("key", ["", "s", "x/s", "/s", "\x1b[31m/s"])
def test_a_key_that_is_not_ours_is_left_alone(key: str) -> None:
    swept = processor(**{key: OPEN})
    assert sweep(swept, ours=0) == set()
    assert key in swept.log.states


def test_one_that_does_not_parse_is_forgotten() -> None:
    swept = processor(**{"0/s": b"junk"})
    assert not sweep(swept, ours=0)
    assert not list(swept.log.states)


def an_ended(offset: int) -> Cursor:
    return msgspec.structs.replace(OPEN, offset=offset, ended=True)


def remembered(monkeypatch: pytest.MonkeyPatch, committed: int, least: float = 0.0) -> set[str]:
    """Return what is kept of eleven streams, of which there is room for five."""
    monkeypatch.setattr(remembering, "LEAST_SECONDS", least)
    swept = processor(**{f"0/{n:02}": an_ended(n) for n in range(10)}, **{"0/open": OPEN})
    size = max(swept.saved.size(*item) for item in swept.saved.items())
    monkeypatch.setattr(remembering, "REMEMBERED_BYTES", 6 * size)
    swept.open([0])
    swept.log.take(committed)
    asyncio.run(swept.log.commit({0: committed}))
    asyncio.run(sweep_saved(swept))
    return {key.partition("/")[2] for key in swept.log.states}


def test_the_oldest_of_those_that_are_over_are_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert remembered(monkeypatch, committed=11) == {"06", "07", "08", "09", "open"}


def test_what_a_replay_needs_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembered(monkeypatch, committed=2) == {f"{n:02}" for n in range(3, 10)} | {"open"}


def test_nor_what_came_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(remembered(monkeypatch, committed=11, least=10.0)) == 11


def test_one_that_goes_on_meanwhile_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(remembering, "REMEMBERED_BYTES", 0)
    swept = processor(**{"0/s": an_ended(3), "0/t": an_ended(4)})
    swept.open([0])
    swept.log.take(11)
    asyncio.run(swept.log.commit({0: 11}))

    async def sweep_beside() -> None:
        async with swept.processing:
            sweeping = asyncio.create_task(sweep_saved(swept))
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # it has looked through the table, and waits for its next turn
        await swept.processing.acquire()
        swept.log.states["0/s"] = swept.saved.encode(an_ended(9))
        swept.processing.release()
        await sweeping

    asyncio.run(sweep_beside())
    assert list(swept.log.states) == ["0/s"]


@pytest.mark.parametrize(
    ("patience", "rounds"), [(60.0, 4), (-1.0, 200)], ids=["many", "one by one"]
)
def test_more_idle_streams_than_are_closed_at_once_are_all_closed(
    patience: float, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that come meanwhile wait for a few, and no longer than there is patience."""
    monkeypatch.setattr(closing, "PATIENCE_SECONDS", patience)
    lines: list[str] = []
    monkeypatch.setattr(closing.logger, "info", lambda text, *_, **__: lines.append(text))
    many = processor(**{f"0/{i}": OPEN for i in range(200)})
    sweep(many, ours=0)

    many.log.take(11)  # all that is there: only then is silence real

    async def close() -> None:
        many.partitions[0].wait_anew(-1e9)
        await Upkeep(many).close_idle()

    asyncio.run(close())
    assert not [
        name for name, live in many.partitions[0].live.items() if not live.state.cursor.ended
    ]
    assert len(lines) == rounds
