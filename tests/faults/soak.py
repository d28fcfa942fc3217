"""Live streams for a long time: ``make soak``. Memory, lag and latency must stay where they are.

Runs on Apache Kafka, as the embedded broker keeps all that it is given.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from schemas import GenrePrediction, decode_event
from services.kafka.clients import chunk_producer, reading
from services.kafka.topics import Topics
from services.settings import Settings
from tests.audio import encode, integers, music
from tests.broker.harness import fresh_settings
from tests.faults.brokers import start_kafka
from tests.faults.groups import Groups, connected_groups
from tests.faults.harness import Crew
from tests.faults.load import MODEL
from tests.faults.memory import MemoryWatch, resident_mb

_RATE = 22_050
_WINDOW_CHUNKS = 3
#: A stream ends after so many seconds, and the next one begins under a new key.
_EPISODE_SECONDS = 120
_PIECES = 8
_WARM_UP = 0.15
_SAMPLE_SECONDS = 5.0
_DRAIN_SECONDS = 60.0
#: Kafka keeps 64 MB a partition.
_RETENTION = {
    "log.retention.bytes": 64 << 20,
    "log.segment.bytes": 16 << 20,
    "log.retention.check.interval.ms": 10_000,
}

MOST_GROWTH = 0.05
MOST_DRIFT = 0.5
#: Windows are open for 3 s, states are saved and offsets committed every second, and a sample
#: may come when all that is due: more audio than this must not wait.
MOST_LAG_SECONDS = 10.0


@dataclass
class Soak:
    """What was seen: one row every few seconds, and the latencies of all windows."""

    streams: int
    minutes: float
    times: list[float] = field(default_factory=list)
    rss_mb: dict[str, list[float]] = field(default_factory=dict)
    lag: list[int] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures that are judged, without the warm-up."""
        begin = _WARM_UP * 60 * self.minutes
        thirds = self._thirds(begin)
        return {
            "streams": self.streams,
            "minutes": self.minutes,
            "predictions": len(self.latency),
            "growth": {name: self._growth(rss, begin) for name, rss in self.rss_mb.items()},
            "rss_mb": {name: round(rss[-1], 1) for name, rss in self.rss_mb.items()},
            "most_lag": max(n for at, n in zip(self.times, self.lag, strict=True) if at >= begin),
            "latency_ms": [
                {
                    "p50": round(1000 * float(np.percentile(third, 50)), 1),
                    "p95": round(1000 * float(np.percentile(third, 95)), 1),
                    "p99": round(1000 * float(np.percentile(third, 99)), 1),
                }
                for third in thirds
            ],
        }

    def _growth(self, rss: Sequence[float], begin: float) -> float:
        """Return the growth from the first to the last tenth after the warm-up."""
        steady = [mb for at, mb in zip(self.times, rss, strict=True) if at >= begin]
        tenth = max(1, len(steady) // 10)
        first, last = statistics.median(steady[:tenth]), statistics.median(steady[-tenth:])
        return round(last / first - 1, 4)

    def _thirds(self, begin: float) -> list[list[float]]:
        end = 60 * self.minutes
        borders = np.linspace(begin, end, 4)
        pairs = list(zip(self.answered, self.latency, strict=True))
        return [[seconds for at, seconds in pairs if a <= at < b] for a, b in pairwise(borders)]

    def check(self) -> None:
        """Fail when memory grew, messages piled up or answers came later and later."""
        figures = self.summary
        for name, growth in figures["growth"].items():
            assert growth < MOST_GROWTH, f"{name} grew by {growth:.1%}"
        waiting = figures["most_lag"] / self.streams
        assert waiting < MOST_LAG_SECONDS, f"{waiting:.1f} s of each stream waited"
        first, _, last = figures["latency_ms"]
        for name in ("p50", "p95"):
            drift = last[name] / first[name] - 1
            assert drift < MOST_DRIFT, f"{name} went from {first[name]} to {last[name]} ms"


async def soak(settings: Settings, streams: int, minutes: float) -> Soak:
    """Play so many live streams to two workers of each service, for so long."""
    result = Soak(streams, minutes)
    pieces = await asyncio.to_thread(_encode_pieces)
    crew = Crew(settings, 2)
    sent: dict[tuple[str, int], float] = {}
    try:
        async with (
            connected_groups(settings) as groups,
            reading(settings, [Topics(settings.topic_prefix).predictions]) as reader,
        ):
            begun = time.monotonic()
            tasks = [
                asyncio.create_task(_note_answers(reader, result, sent, begun)),
                asyncio.create_task(_sample(result, crew, groups, begun)),
            ]
            await _play(settings, result, pieces, sent, begun)
            await _until_answered(sent)
            for task in tasks:
                task.cancel()
            for done in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(done, asyncio.CancelledError), repr(done)
    finally:
        await asyncio.to_thread(crew.stop)
    return result


def _encode_pieces() -> list[list[bytes]]:
    """Encode the seconds of some pieces of music as FLAC."""
    pieces = []
    for seed in range(_PIECES):
        frames = integers(music(30.0, _RATE, seed=seed))
        seconds = [frames[start : start + _RATE] for start in range(0, len(frames), _RATE)]
        pieces.append([encode(second, _RATE, "FLAC") for second in seconds])
    return pieces


async def _play(
    settings: Settings,
    result: Soak,
    pieces: list[list[bytes]],
    sent: dict[tuple[str, int], float],
    begun: float,
) -> None:
    """Send a second of every stream each second, the streams side by side in that second."""
    topic = Topics(settings.topic_prefix).chunks
    total = round(60 * result.minutes)
    async with chunk_producer(settings) as producer:
        for second in range(total):
            for number in range(result.streams):
                due = begun + second + number / result.streams
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                episode, index = divmod(second + number, _EPISODE_SECONDS)
                name = f"live-{number}-{episode}"
                is_last = index == _EPISODE_SECONDS - 1 or second == total - 1
                piece = pieces[number % _PIECES]
                position = min(index, second)
                if (position + 1) % _WINDOW_CHUNKS == 0:
                    sent[name, position // _WINDOW_CHUNKS] = time.monotonic()
                headers = [("final", b"true")] if is_last else []
                await producer.send(
                    topic, key=name.encode(), value=piece[second % len(piece)], headers=headers
                )


async def _note_answers(
    reader: Any, result: Soak, sent: dict[tuple[str, int], float], begun: float
) -> None:
    async for record in reader.messages():
        now = time.monotonic()
        prediction = decode_event(record.value, GenrePrediction)
        at = sent.pop((prediction.stream_id, prediction.window_index), None)
        if at is not None:
            result.answered.append(now - begun)
            result.latency.append(now - at)


async def _sample(result: Soak, crew: Crew, groups: Groups, begun: float) -> None:
    watch = MemoryWatch({name: process.pid for name, process in crew.processes.items()})
    while True:
        for name, process in crew.processes.items():
            assert process.poll() is None, f"{name} ended with code {process.returncode}"
            result.rss_mb.setdefault(name, []).append(resident_mb(process.pid))
        result.times.append(time.monotonic() - begun)
        result.lag.append(await groups.waiting())
        recent = result.latency[-result.streams :] or [0.0]
        sys.stderr.write(
            f"\r{result.times[-1] / 60:5.1f} of {result.minutes:g} min, lag {result.lag[-1]}, "
            f"latency {1000 * statistics.median(recent):.0f} ms, {watch.describe()}   "
        )
        await asyncio.sleep(_SAMPLE_SECONDS)


async def _until_answered(sent: dict[tuple[str, int], float]) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while sent:
        assert time.monotonic() < deadline, f"no answer to {len(sent)} windows: {list(sent)[:5]}"
        await asyncio.sleep(0.1)


@contextmanager
def _broker() -> Iterator[str]:
    """Use the Kafka that is named, or run one of our own that forgets soon."""
    if named := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="genrestream-soak-") as folder:
        kafka = start_kafka(Path(folder), _RETENTION)
        try:
            yield kafka.address
        finally:
            kafka.stop()


def _plot(result: Soak, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    memory, lag, latency = figure.subplots(3, sharex=True)
    minutes = np.array(result.times) / 60
    for name, rss in result.rss_mb.items():
        memory.plot(minutes, rss, label=name)
    memory.set_ylabel("resident memory (MB)")
    memory.legend()
    lag.plot(minutes, result.lag)
    lag.set_ylabel("messages not committed")
    latency.plot(np.array(result.answered) / 60, 1000 * np.array(result.latency), ",")
    latency.set_ylabel("latency (ms)")
    latency.set_xlabel("minutes")
    figure.savefig(path)


def main() -> None:
    """Run on the command line."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("reports/soak"))
    arguments = parser.parse_args()
    with _broker() as address:
        settings = fresh_settings(address, "soak.", model=MODEL)
        result = asyncio.run(soak(settings, arguments.streams, arguments.minutes))
    arguments.output.mkdir(parents=True, exist_ok=True)
    document = {"summary": result.summary, "samples": asdict(result)}
    (arguments.output / "soak.json").write_text(json.dumps(document) + "\n")
    try:
        _plot(result, arguments.output / "soak.png")
    except ImportError:
        sys.stderr.write("\nno plot: matplotlib is not installed\n")
    sys.stdout.write("\n" + json.dumps(result.summary, indent=2) + "\n")
    result.check()


if __name__ == "__main__":
    main()
