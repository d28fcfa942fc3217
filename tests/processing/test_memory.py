"""Open streams take no more memory than they may, and a container's limits are heeded."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas import Place, decode_dead_letter
from services.extractor.extractor import Extractor
from services.processing.container import memory_limit, processors
from services.processing.processor import Processor
from services.processing.records import Record
from tests.extractor.streams import RECIPE
from tests.processing.memory_log import Disk, MemoryLog
from tests.processing.worlds import OUTPUTS, Silent

_PCM = [("content-type", b"audio/pcm;rate=22050;channels=1;encoding=s16le")]


def _record(offset: int, key: str, seconds: float) -> Record:
    return Record(
        Place("audio.chunks", 0, offset), 0, key.encode(), bytes(2 * round(22_050 * seconds)), _PCM
    )


def _processed(records: list[Record], memory: int) -> tuple[Processor[Any, Any, Any], Disk]:
    disk, silent = Disk(), Silent()
    log = MemoryLog(disk, {})
    processor: Processor[Any, Any, Any] = Processor(
        log, Extractor(RECIPE), OUTPUTS, silent, silent, memory
    )
    processor.open([0])

    async def process() -> None:
        for record in records:
            disk.source.append(record)
            await processor.process_waiting()
        await processor.complete_checkpoint()

    asyncio.run(process())
    return processor, disk


def test_the_largest_streams_are_ended_with_a_letter() -> None:
    small = [_record(n, f"small-{n}", 0.1) for n in range(5)]
    large = [_record(5 + n, f"large-{n}", 2.9) for n in range(5)]
    processor, disk = _processed([*small, *large], memory=200_000)
    partition = processor.partitions[0]
    assert partition.held_bytes == sum(live.size for live in partition.live.values()) < 200_000
    letters = [message for message in disk.sent if message.topic == OUTPUTS.dead_letters]
    ended = {message.key for message in letters}
    assert ended
    assert all(key and key.startswith(b"large-") for key in ended)
    assert {decode_dead_letter(m.headers).error for m in letters} == {"memory-full"}
    finals = {m.key for m in disk.sent if m.value and b'"final":true' in m.value}
    assert finals == ended, "what was heard of it is answered"
    assert set(partition.live) == {f"small-{n}" for n in range(5)} | {
        f"large-{n}" for n in range(5)
    } - {key.decode() for key in ended if key}


def test_nothing_is_ended_below_the_limit() -> None:
    processor, disk = _processed([_record(n, f"s-{n}", 1.0) for n in range(5)], 1 << 20)
    assert len(processor.partitions[0].live) == 5
    assert not disk.sent


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_a_quota_of_processors_is_heeded(
    files: dict[str, str], expected: int, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert processors(tmp_path) == min(expected, processors(tmp_path / "none"))


def test_no_quota_is_none(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert processors(tmp_path) == processors(tmp_path / "none")


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_limit_of_memory_is_heeded(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("1000000\n")
    assert memory_limit(tmp_path) == 1_000_000


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) > 1 << 28
