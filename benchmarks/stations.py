"""Listen to many stations through the whole system: ``python -m benchmarks.stations``.

A server of its own process plays music in real time, 128 kbit/s stereo MP3, to every station's
receiver. Broker, receiver, extractor and classifier run as `up` runs them, with the default model.
How far a prediction is behind live is the time at which it was read, less the end of its window.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import report
from benchmarks.signals import encode, integers, music
from benchmarks.system import System, children, running_system
from features.formats.ffmpeg import ffmpeg_path
from schemas import GenrePrediction, Station, StationEvent, decode_event, to_milliseconds
from services.console import station_list
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import TopicReader
from services.kafka.embedded_broker import free_port
from services.kafka.topics import Topics
from services.settings import load_settings
from terminal.processes import die_with_parent

REPORT: Final = report.FOLDER / "stations.json"
_BYTES_A_SECOND: Final = 16_000
_PIECES: Final = 8
_PIECE_SECONDS: Final = 60.0
_STEP_SECONDS: Final = 0.25
_WINDOW_SECONDS: Final = 3.0
#: What "holds" means.
LAG_SECONDS: Final = 10.0
_START_SECONDS: Final = 120.0


@cache
def _piece(seed: int) -> bytes:
    """Return a minute of music, 128 kbit/s MP3 at 44.1 kHz in stereo."""
    wave = encode(integers(music(_PIECE_SECONDS, 44_100, seed=seed)), 44_100)
    command = [str(ffmpeg_path()), "-v", "error", "-i", "pipe:0", "-ac", "2", "-b:a", "128k"]
    return subprocess.run(  # noqa: S603 - our own arguments
        [*command, "-f", "mp3", "pipe:1"], input=wave, check=True, capture_output=True
    ).stdout


async def serve(port: int) -> None:
    """Play to whoever connects, for ever; the path is the number of the piece."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            data = _piece(int(path[1:]) % _PIECES)
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")
            began, place = time.monotonic(), 0
            while True:
                end = int((time.monotonic() - began) * _BYTES_A_SECOND)
                writer.write((data + data)[place % len(data) :][: end - place])
                place = end
                await writer.drain()
                await asyncio.sleep(_STEP_SECONDS)
        writer.close()

    for seed in range(_PIECES):
        _piece(seed)
    server = await asyncio.start_server(play, "127.0.0.1", port, backlog=1000)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """Run the server; gives its port and process."""
    port = free_port()
    with subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "benchmarks.stations", "--serve", str(port)],
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield port, process.pid
        finally:
            process.kill()


@dataclass
class Heard:
    """What came while it was measured.

    Attributes
    ----------
    lags
        Seconds behind live of each prediction, by the minute in which it came.
    windows
        Predictions of each station.
    missing
        Windows with missing chunks.
    """

    lags: dict[int, list[float]] = field(default_factory=dict)
    windows: dict[str, int] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    missing: int = 0
    began: float = float("inf")

    async def follow(self, reader: TopicReader) -> None:
        """Read predictions and events."""
        async for record in reader.messages():
            if record.topic.endswith("station.events"):
                self._take_event(decode_event(record.value, StationEvent))
            else:
                self._take(decode_event(record.value, GenrePrediction), time.time())

    def _take_event(self, event: StationEvent) -> None:
        if event.kind == "connected":
            self.connected.add(event.station_id)
        if event.kind in ("lost", "refused"):
            self.lost.append(f"{event.station_id}: {event.message}")

    def _take(self, prediction: GenrePrediction, now: float) -> None:
        if now < self.began or prediction.heard_at is None:
            return
        lag = now - to_milliseconds(prediction.heard_at) / 1000 - _WINDOW_SECONDS
        self.lags.setdefault(int((now - self.began) // 60), []).append(lag)
        self.windows[prediction.stream_id] = self.windows.get(prediction.stream_id, 0) + 1
        self.missing += bool(prediction.missing_chunks)

    async def all_connected(self, count: int) -> None:
        """Wait until all stations are."""
        async with asyncio.timeout(_START_SECONDS):
            while len(self.connected) < count:
                await asyncio.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured with so many stations.

    Attributes
    ----------
    p50, p99, most
        Seconds behind live.
    by_minute
        The p99 of each minute.
    heard
        Windows read, of those that were on air.
    cpu
        Processor seconds a second, by role.
    memory
        MB at the begin and the end, by role.
    """

    stations: int
    minutes: float
    model: str
    p50: float
    p99: float
    most: float
    by_minute: list[float]
    heard: float
    missing: int
    lost: list[str]
    cpu: dict[str, float]
    memory: dict[str, tuple[float, float]]

    @property
    def holds(self) -> bool:
        """Whether so many stations are kept up with."""
        return self.p99 < LAG_SECONDS and not self.missing and not self.lost


@asynccontextmanager
async def _receiver(system: System) -> AsyncIterator[int]:
    workers = {"receiver": start_worker("receiver", worker_environment(system.settings))}
    try:
        yield workers["receiver"].pid
    finally:
        await asyncio.to_thread(stop_workers, workers)


async def measure(count: int, minutes: float) -> Figures:
    """Measure so many stations for so long, from a minute after they all are connected."""
    model = load_settings().model
    async with running_system(model=model) as system:
        with ExitStack() as resources:
            port, process = resources.enter_context(server())
            topics = Topics(system.settings.topic_prefix)
            reader = TopicReader(system.settings, [topics.predictions, topics.station_events])
            await reader.start()
            heard = Heard()
            following = asyncio.create_task(heard.follow(reader))
            try:
                async with _receiver(system) as receiver:
                    system.processes.update(receiver=[receiver], server=[process])
                    await _apply(system, port, count)
                    await heard.all_connected(count)
                    return await _watch(system, heard, count, minutes)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                await reader.stop()


async def _apply(system: System, port: int, count: int) -> None:
    stations = [
        Station(id=f"s{n:03}", name=f"s{n:03}", url=f"http://127.0.0.1:{port}/{n}")
        for n in range(count)
    ]
    await station_list.apply(system.settings, stations, prune=False)


async def _watch(system: System, heard: Heard, count: int, minutes: float) -> Figures:
    await asyncio.sleep(60.0)
    system.processes["decoders"] = list(children(system.processes["receiver"][0]))
    heard.began = time.time()
    cpu, memory = system.cpu_seconds(), _memory(system)
    await asyncio.sleep(60.0 * minutes)
    seconds = time.time() - heard.began
    used = {role: (total - cpu[role]) / seconds for role, total in system.cpu_seconds().items()}
    lags = np.concatenate([np.asarray(part) for part in heard.lags.values()] or [np.zeros(1)])
    after = _memory(system)
    return Figures(
        stations=count,
        minutes=minutes,
        model=system.settings.model,
        p50=float(np.percentile(lags, 50)),
        p99=float(np.percentile(lags, 99)),
        most=float(lags.max()),
        by_minute=[float(np.percentile(part, 99)) for _, part in sorted(heard.lags.items())],
        heard=sum(heard.windows.values()) / (count * seconds / _WINDOW_SECONDS),
        missing=heard.missing,
        lost=heard.lost,
        cpu=used,
        memory={role: (memory[role], after[role]) for role in after},
    )


def _memory(system: System) -> dict[str, float]:
    return {role: system.resident_bytes(role) / 1024**2 for role in system.processes}


def show(figures: Sequence[Figures]) -> None:
    """Print a row for each number of stations, and where the time goes."""
    report.show(
        "stations: seconds behind live; windows read of those on air",
        ("stations", "p50", "p99", "most", "worst minute", "read", "gaps", "lost", "holds"),
        [
            [
                *(str(f.stations), f"{f.p50:.1f}", f"{f.p99:.1f}", f"{f.most:.1f}"),
                *(f"{max(f.by_minute):.1f}", f"{f.heard:.3f}", str(f.missing), str(len(f.lost))),
                "yes" if f.holds else "no",
            ]
            for f in figures
        ],
    )
    roles = list(figures[0].cpu)
    report.show(
        "processors used, and MB at the begin and the end",
        ("stations", *roles),
        [
            [
                str(f.stations),
                *(f"{f.cpu[r]:.2f}; {f.memory[r][0]:.0f}-{f.memory[r][1]:.0f}" for r in roles),
            ]
            for f in figures
        ],
    )


def main() -> None:
    """Measure, print and write what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go")
    parser.add_argument("--stations", type=int, nargs="+", default=[200], help="how many")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    before, figures = report.machine(), list[Figures]()
    for count in options.stations:
        figures.append(asyncio.run(measure(count, options.minutes)))
        show(figures)
    report.write(options.json, before, [asdict(f) | {"holds": f.holds} for f in figures])


if __name__ == "__main__":
    main()
