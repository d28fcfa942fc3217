"""Measure the pipeline: ``python -m benchmarks.pipeline``.

Audio seconds per wall second and per processor second, from the first chunk sent to the last
prediction read, with everything on this machine: the embedded broker, a client that sends chunks
encoded before and reads the predictions, and the workers.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import report
from benchmarks.load import Codec, Load, encoded, listen, send
from benchmarks.system import MODEL, System, running_system
from services.kafka.clients import chunk_producer
from services.settings import load_settings

REPORT: Final = report.FOLDER / "pipeline.json"


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent to how many workers; `seconds` of audio in all streams together."""

    chunk_seconds: float = 3.0
    codec: Codec = "flac"
    streams: int = 64
    partitions: int = 8
    workers: int = 1
    model: str = MODEL
    seconds: float = 6000.0

    @property
    def load(self) -> Load:
        """The streams, as long as `seconds` allows."""
        seconds = 3.0 * max(1, round(self.seconds / self.streams / 3.0))
        name = f"{self.codec}-{self.chunk_seconds:g}-{self.streams}"
        return Load(name, self.streams, seconds, self.chunk_seconds, self.codec)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Figures of a case.

    Attributes
    ----------
    audio_seconds
        What was sent.
    wall_seconds
        From the first chunk sent to the last prediction read.
    cpu_seconds
        Processor time in that span, by role.
    """

    case: Case
    audio_seconds: float
    wall_seconds: float
    cpu_seconds: dict[str, float]

    @property
    def rate(self) -> float:
        """Audio seconds per wall second."""
        return self.audio_seconds / self.wall_seconds

    @property
    def per_cpu_second(self) -> float:
        """Audio seconds per second of the two services' processor time."""
        services = self.cpu_seconds["extractor"] + self.cpu_seconds["classifier"]
        return self.audio_seconds / services


#: What the README and docs/performance.md quote; the first is the one that others compare with.
CASES: Final = (
    Case(),
    Case(codec="pcm"),
    Case(chunk_seconds=1.0),
    Case(chunk_seconds=1.0, codec="pcm"),
    Case(streams=10),
    Case(streams=1000),
    Case(partitions=1),
    Case(workers=2),
    Case(model="lda-musicnn-200-int8"),
)


async def measure(cases: Sequence[Case]) -> list[Throughput]:
    """Measure cases one after another, each on a system of its own."""
    results = []
    for case in cases:
        encoded(case.codec, case.chunk_seconds)
        async with running_system(case.partitions, case.workers, case.model) as system:
            results.append(await run(system, case))
    return results


async def run(system: System, case: Case) -> Throughput:
    """Measure a case on a warm system."""
    load = case.load
    async with listen(system.settings) as listener, chunk_producer(system.settings) as producer:
        before, start = system.cpu_seconds(), time.monotonic()
        sending = asyncio.create_task(send(producer, system.settings, load))
        taken = await listener.take(load)
        wall = taken[-1][0] - start
        used = {role: cpu - before[role] for role, cpu in system.cpu_seconds().items()}
        await sending
    ids = {msgspec.json.decode(value)["event_id"] for _, value in taken}
    if len(ids) != load.predictions:
        raise RuntimeError(f"{len(ids)} different predictions, not {load.predictions}")
    return Throughput(case, load.audio_seconds, wall, used)


def rows(results: Sequence[Throughput]) -> list[list[str]]:
    """Lay out results, with their rates relative to the first."""
    roles = ("extractor", "classifier", "broker", "client")
    return [
        [
            f"{r.case.chunk_seconds:g} s {r.case.codec}, {r.case.streams} streams, "
            f"{r.case.partitions} p., {r.case.workers}+{r.case.workers} w."
            f"{'' if r.case.model == MODEL else f', {r.case.model}'}",
            f"{r.rate:.0f}",
            f"{r.rate / results[0].rate:.2f}",
            f"{r.per_cpu_second:.0f}",
            *(f"{3e3 * r.cpu_seconds[role] / r.audio_seconds:.2f}" for role in roles),
        ]
        for r in results
    ]


def main() -> None:
    """Measure, print and write what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go")
    parser.add_argument("--seconds", type=float, default=6000.0, help="of audio in a case")
    parser.add_argument("--case", type=int, nargs="+", help="only these of the cases, from 0")
    parser.add_argument("--model", help="only the first case, with this model, or `default`")
    options = parser.parse_args()
    chosen = [CASES[number] for number in options.case] if options.case else CASES
    if options.model:
        model = load_settings().model if options.model == "default" else options.model
        chosen = [replace(case, model=model) for case in (chosen if options.case else CASES[:1])]
    before = report.machine()
    results = asyncio.run(measure([replace(case, seconds=options.seconds) for case in chosen]))
    report.show(
        "pipeline: audio seconds per second; per processor second of both services; then "
        "processor ms per 3 s window",
        ("", "per s", "of first", "per CPU s", "extractor", "classifier", "broker", "client"),
        rows(results),
    )
    figures = [asdict(r) | {"rate": r.rate, "per_cpu_second": r.per_cpu_second} for r in results]
    report.write(options.json, before, figures)


if __name__ == "__main__":
    main()
