"""Measure memory: ``python -m benchmarks.memory``.

Resident memory of each worker with no stream, and with so many live streams that each hold two
thirds of a window. The cost of a stream is the difference.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.load import Load, encoded, listen, send
from benchmarks.system import System, running_system
from services.kafka.clients import chunk_producer

REPORT: Final = report.FOLDER / "memory.json"
_SERVICES: Final = ("extractor", "classifier")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory at a moment, in MB by service, and the live streams then."""

    moment: str
    streams: int
    megabytes: dict[str, float]


async def measure(counts: Sequence[int]) -> list[Memory]:
    """Measure a fresh system for each number of streams."""
    encoded("pcm", 1.0)
    results = []
    for streams in counts:
        async with running_system() as system:
            results += await grow(system, streams)
    return results


async def grow(system: System, streams: int) -> list[Memory]:
    """Open streams, of a window and two thirds each."""
    load = Load("live", streams, seconds=5.0, chunk_seconds=1.0, codec="pcm", final=False)
    # Streams behind the others in their partitions tell that those are taken in.
    probe = Load("probe", 4 * system.settings.partitions, seconds=3.0)
    before = _now(system, "before", 0)
    async with listen(system.settings) as listener, chunk_producer(system.settings) as producer:
        await send(producer, system.settings, load)
        await send(producer, system.settings, probe)
        await listener.take(load, probe)
        return [before, _now(system, "live", streams)]


def _now(system: System, moment: str, streams: int) -> Memory:
    megabytes = {role: system.resident_bytes(role) / 1e6 for role in _SERVICES}
    return Memory(moment, streams, megabytes)


def per_stream(results: Sequence[Memory]) -> list[dict[str, float]]:
    """Return the kB that a live stream costs in each service, for each pair of moments."""
    pairs = zip(results[::2], results[1::2], strict=True)
    return [
        {
            role: 1e3 * (live.megabytes[role] - empty.megabytes[role]) / live.streams
            for role in _SERVICES
        }
        for empty, live in pairs
    ]


def main() -> None:
    """Measure, print and write what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go")
    parser.add_argument("--streams", type=int, nargs="+", default=[500, 2000])
    options = parser.parse_args()
    before = report.machine()
    results = asyncio.run(measure(options.streams))
    costs = per_stream(results)
    report.show(
        "resident memory of one worker of each service",
        ("", *(f"{role}, MB" for role in _SERVICES), *(f"kB a stream, {r}" for r in _SERVICES)),
        [
            [
                f"{r.streams} streams",
                *(f"{r.megabytes[role]:.0f}" for role in _SERVICES),
                *(f"{costs[n // 2][role]:.0f}" if n % 2 else "" for role in _SERVICES),
            ]
            for n, r in enumerate(results)
        ],
    )
    figures = {"memory": [asdict(r) for r in results], "kilobytes_per_stream": costs}
    report.write(options.json, before, figures)


if __name__ == "__main__":
    main()
