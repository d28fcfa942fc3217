"""Measure how long things take to start: ``python -m benchmarks.startup``.

Wall seconds, each of several rounds after one that fills the caches; a bare interpreter tells how
fast the machine is at the moment. Workers are timed to their first event, so with their partitions
assigned and their kernels warm; joining a group takes 1.5 s of it on the embedded broker.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import soundfile

from benchmarks import report
from benchmarks.load import RATE, Load, send
from benchmarks.signals import music
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import TopicReader, chunk_producer
from services.kafka.embedded_broker import SESSION_TIMEOUT_SECONDS, embedded_broker
from services.kafka.topics import Topics, create_topics
from services.settings import Settings, load_settings

REPORT: Final = report.FOLDER / "startup.json"
NAMES: Final = (
    "bare interpreter",
    "genrestream --help",
    "genrestream classify, 30 s",
    "extractor, to its first vector",
    "classifier, to its first prediction",
)
_CLIP_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Startup:
    """Wall seconds until a command is done or a worker ready."""

    name: str
    median: float
    minimum: float


def command(*arguments: str) -> float:
    """Run a command line to its end and return how long it took."""
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


async def worker(settings: Settings, service: str, output: str, stream: str) -> float:
    """Start a worker that has a stream waiting, and return how long it takes to its first event.

    The end of a topic of the embedded broker can lie before its last messages, of earlier streams.
    """
    reader = TopicReader(settings, [output])
    await reader.start()
    start = time.perf_counter()
    process = start_worker(service, worker_environment(settings))
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            async for message in reader.messages():
                if message.key.decode() == stream:
                    break
        return time.perf_counter() - start
    finally:
        await asyncio.to_thread(stop_workers, {service: process})
        await reader.stop()


async def both_workers(settings: Settings) -> list[float]:
    """Send a chunk and return how long extractor and classifier take until it is through them."""
    topics = Topics(settings.topic_prefix)
    load = Load(str(time.time()), streams=1, seconds=3.0)
    (stream,) = {chunk.stream_id or "" for chunk in load.chunks()}
    async with chunk_producer(settings) as producer:
        await send(producer, settings, load)
    return [
        await worker(settings, "extractor", topics.features, stream),
        await worker(settings, "classifier", topics.predictions, stream),
    ]


def measure(rounds: int) -> list[Startup]:
    """Time everything in turn, so many rounds after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    with embedded_broker() as address, tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.wav"
        soundfile.write(clip, music(_CLIP_SECONDS, RATE), RATE)
        settings = load_settings(
            bootstrap_servers=address,
            session_timeout_seconds=SESSION_TIMEOUT_SECONDS,
            log_level="ERROR",
        )
        asyncio.run(create_topics(settings))
        for number in range(rounds + 1):
            took = [
                command("-c", ""),
                command("-m", "services.cli", "--help"),
                command("-m", "services.cli", "classify", str(clip)),
                *asyncio.run(both_workers(settings)),
            ]
            for name, seconds in zip(NAMES, took, strict=True):
                times[name] += [seconds] if number else []
    return [Startup(name, statistics.median(t), min(t)) for name, t in times.items()]


def rows(results: Sequence[Startup]) -> list[list[str]]:
    """Lay out results."""
    bare = results[0].median
    return [
        [r.name, f"{r.median:.2f}", f"{r.minimum:.2f}", f"{r.median / bare:.0f}"] for r in results
    ]


def main() -> None:
    """Measure, print and write what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    before = report.machine()
    results = measure(options.rounds)
    report.show("start-up, wall seconds", ("", "median", "min", "bare interpreters"), rows(results))
    report.write(options.json, before, [asdict(r) for r in results])


if __name__ == "__main__":
    main()
