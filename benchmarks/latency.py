"""Measure latency: ``python -m benchmarks.latency``.

From handing the chunk that completes a window to the producer until its prediction is read, on an
idle system and at half of the capacity that is measured first. Chunks of 1 s, so that two of three
complete no window. Streams begin one after another within the length of a window, so that their
windows do not all end in the same second: stations do not begin together either.

    python -m benchmarks.latency --model default --live 500 --seconds 600

follows so many streams of 3 s chunks for so long instead. ``GENRESTREAM_CONTENT=false`` leaves
content out of either.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks import report
from benchmarks.load import WINDOW_SECONDS, Load, encoded, listen
from benchmarks.pipeline import Case, run
from benchmarks.system import MODEL, System, running_system
from schemas import AudioChunk
from services.kafka.clients import chunk_producer, send_chunk
from services.settings import load_settings

REPORT: Final = report.FOLDER / "latency.json"
_IDLE_STREAMS: Final = 6
_CHUNK_SECONDS: Final = 1.0
_PERCENTILES: Final = (50, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency in ms, by percentile, of so many windows of streams in real time."""

    name: str
    streams: int
    windows: int
    percentiles: dict[int, float]


async def measure(model: str, windows: int, capacity_seconds: float) -> tuple[float, list[Latency]]:
    """Return the capacity (streams in real time) and the latency idle and at half of it."""
    case = Case(chunk_seconds=_CHUNK_SECONDS, seconds=capacity_seconds, model=model)
    encoded(case.codec, case.chunk_seconds)
    async with running_system(case.partitions, model=model) as system:
        idle = await follow(system, "idle", _IDLE_STREAMS, windows)
        capacity = (await run(system, case)).rate
        half = await follow(system, "half load", max(1, round(capacity / 2)), max(4, windows // 10))
    return capacity, [idle, half]


async def live(model: str, streams: int, seconds: float) -> Latency:
    """Return the latency of so many streams of whole windows."""
    case = Case(streams=streams, model=model)
    encoded(case.codec, case.chunk_seconds)
    async with running_system(case.partitions, model=model) as system:
        windows = max(1, round(seconds / WINDOW_SECONDS))
        return await follow(system, "live", streams, windows, case.chunk_seconds)


async def follow(
    system: System, name: str, streams: int, windows: int, chunk_seconds: float = _CHUNK_SECONDS
) -> Latency:
    """Send streams in real time, and see how long each window takes to its prediction."""
    load = Load(name, streams, windows * WINDOW_SECONDS, chunk_seconds)
    per_window = round(WINDOW_SECONDS / chunk_seconds)
    completed: dict[tuple[str, int], float] = {}
    async with listen(system.settings) as listener, chunk_producer(system.settings) as producer:
        taking = asyncio.create_task(listener.take(load))
        start = time.monotonic()
        for due, number, chunk in schedule(load):
            await asyncio.sleep(max(0.0, start + due - time.monotonic()))
            index, within = divmod(number, per_window)
            if within == per_window - 1:
                completed[chunk.stream_id or "", index] = time.monotonic()
            await send_chunk(producer, system.settings, chunk)
        taken = await taking
    waits = sorted(1e3 * (at - completed[window(value)]) for at, value in taken)
    shown = {p: float(np.percentile(waits, p)) for p in _PERCENTILES}
    return Latency(name, streams, len(waits), shown)


def schedule(load: Load) -> list[tuple[float, int, AudioChunk]]:
    """Return when each chunk is due (s from the start), its number in its stream, and the chunk."""
    due = []
    for place, chunk in enumerate(load.chunks()):
        number, stream = divmod(place, load.streams)
        begin = stream * WINDOW_SECONDS / load.streams
        due.append((begin + number * load.chunk_seconds, number, chunk))
    return sorted(due, key=lambda entry: entry[0])


def window(value: bytes) -> tuple[str, int]:
    """Return the stream and the number of a prediction's window."""
    prediction: dict[str, Any] = msgspec.json.decode(value)
    return prediction["stream_id"], prediction["window_index"]


def rows(results: Sequence[Latency]) -> list[list[str]]:
    """Lay out results, with the ratio of the highest percentile to the first's."""
    base = results[0].percentiles[99]
    return [
        [
            f"{r.name}, {r.streams} streams",
            str(r.windows),
            *(f"{r.percentiles[p]:.0f}" for p in _PERCENTILES),
            f"{r.percentiles[99] / base:.1f}",
        ]
        for r in results
    ]


def main() -> None:
    """Measure, print and write what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go")
    parser.add_argument("--windows", type=int, default=40, help="of each stream when idle")
    parser.add_argument(
        "--seconds", type=float, default=3000.0, help="of audio for the capacity, or of --live"
    )
    parser.add_argument("--model", default=MODEL, help="name of the model, or `default`")
    parser.add_argument("--live", type=int, metavar="STREAMS", help="follow so many streams alone")
    options = parser.parse_args()
    model = load_settings().model if options.model == "default" else options.model
    before = report.machine()
    if options.live:
        capacity = None
        results = [asyncio.run(live(model, options.live, options.seconds))]
        title = f"latency in ms, chunks of 3 s, {model}"
    else:
        capacity, results = asyncio.run(measure(model, options.windows, options.seconds))
        title = f"latency in ms, chunks of 1 s, {model}; capacity {capacity:.0f} streams"
    headings = (*(f"p{p}" for p in _PERCENTILES[:-1]), "most")
    report.show(title, ("", "windows", *headings, "p99, of the first"), rows(results))
    report.write(
        options.json,
        before,
        {"model": model, "capacity": capacity, "latency": [asdict(r) for r in results]},
    )


if __name__ == "__main__":
    main()
