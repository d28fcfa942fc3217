"""A day of radio in minutes: ``python -m tests.radio.day``.

The receiver is the real one, on an event loop whose clock jumps to whatever happens next. Its
source is a station that fails by a seeded schedule: connections refused for all reasons, pauses,
drops, audio that comes late or in bursts, titles. Its samples say when they were on air, so that
each minute can be compared with what the receiver reported.
"""

import argparse
import asyncio
import gc
import io
import random
import resource
import selectors
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import soundfile

from schemas import AudioChunk, Station, StationEvent
from services.receiver.decoder import SAMPLE_RATE
from services.receiver.reasons import REASON_CODES, ReasonCode, failed
from services.receiver.receiver import Receiver
from services.receiver.sources import Source

DAY_SECONDS: Final = 86_400.0
_STEP_SECONDS: Final = 0.5
#: The list of a day's 28,800 chunks, which we keep, is some 6 MB of it.
_GROWTH_MB: Final = 16.0
#: A sample is the number of its block of so many, so that it says when it was on air.
_BLOCK: Final = 441
_NUMBERS: Final = 20_000
_EPOCH: Final = 1_750_000_000.0
#: 404 and 410 without audio before would be asked again each ten minutes only: they come, too.
_REASONS: Final = tuple(code for code in REASON_CODES if code not in ("stopped", "no-ffmpeg"))


class _NoWaiting(selectors.DefaultSelector):
    """A selector that lets the clock of its loop jump instead of waiting."""

    loop: "FastLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.loop.now += timeout
        return ready


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _NoWaiting()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


@dataclass
class OnAir:
    """A station by a seeded schedule.

    Attributes
    ----------
    offered
        Seconds on air that were handed to the receiver, each once.
    """

    rng: random.Random
    clock: Callable[[], float]
    offered: float = 0.0
    _until: float = 0.0
    _down_until: float = 0.0
    _down_code: ReasonCode = "connection-refused"

    @asynccontextmanager
    async def open(
        self, station: Station, tell_title: Callable[[str], None], *, local: bool = False
    ) -> AsyncIterator[Source]:
        """Open it, as `services.receiver.sources.open_source` does."""
        await asyncio.sleep(self.rng.uniform(0.02, 0.3))
        if self.clock() < self._down_until:
            raise failed(self._down_code)
        source = _Offered()
        playing = asyncio.create_task(self._play(source, tell_title))
        try:
            yield source  # type: ignore[misc]  # what a receiver needs of one
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    async def _play(self, source: "_Offered", tell_title: Callable[[str], None]) -> None:
        place = self.clock() - self.rng.choice((0.0, 0.0, 3.0))
        ends = self.clock() + self.rng.choice((20.0, 300.0, 3600.0)) * self.rng.uniform(0.3, 1.5)
        number = 0
        while self.clock() < ends:
            now = self.clock()
            number += 1
            if number % 400 == 0:
                tell_title(f"Track {self.rng.randrange(10**6)}")
            place = await self._offer(source, place, now)
            await asyncio.sleep(_STEP_SECONDS)
            if self.rng.random() < 0.0004:  # the network holds bytes back, and sends them later
                await asyncio.sleep(self.rng.uniform(0.5, 5.0))
        await self._fail(source)

    async def _offer(self, source: "_Offered", begin: float, end: float) -> float:
        count = max(0, round((end - begin) * SAMPLE_RATE))
        if count:
            source.put(_samples(begin, count))
        following = begin + count / SAMPLE_RATE
        self.offered += max(0.0, following - max(begin, self._until))
        self._until = max(self._until, following)
        return following

    async def _fail(self, source: "_Offered") -> None:
        kind = self.rng.choice(("drop", "drop", "down", "down", "stand"))
        if kind == "stand":  # the connection stands, and nothing comes
            self._down_until = self.clock() + self.rng.uniform(5.0, 90.0)
            self._down_code = "timeout"
            await asyncio.Event().wait()
        if kind == "down":
            self._down_until = (
                self.clock() + self.rng.choice((5.0, 60.0, 900.0)) * self.rng.random()
            )
            self._down_code = self.rng.choice(_REASONS)
        source.end()


class _Offered:
    """What a receiver reads of `OnAir`."""

    def __init__(self) -> None:
        self.found = type("Found", (), {"received": 0})()
        self.decoder = None
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, data: bytes) -> None:
        self.found.received += len(data) // 4
        self._waiting.put_nowait(data)

    def end(self) -> None:
        self._waiting.put_nowait(None)

    async def read(self) -> bytes:
        data = await self._waiting.get()
        if data is None:
            raise failed("connection-lost")
        return data


def _samples(begin: float, count: int) -> bytes:
    """Return samples that say when they were on air, as 16-bit PCM."""
    place = round(begin * SAMPLE_RATE) + np.arange(count)
    return ((place // _BLOCK) % _NUMBERS + 1).astype("<i2").tobytes()


def on_air(samples: "np.ndarray[Any, Any]", near: float) -> float:
    """Tell when the first of some samples [shape=(n,)] was on air, of all times the nearest one."""
    period = _NUMBERS * _BLOCK / SAMPLE_RATE
    borders = np.flatnonzero(np.diff(samples))
    inside = _BLOCK - 1 - int(borders[0]) if len(borders) else 0
    place = ((int(samples[0]) - 1) * _BLOCK + inside) / SAMPLE_RATE
    return place + period * round((near - place) / period)


@dataclass
class Heard:
    """What the receiver said.

    Attributes
    ----------
    spans
        First number, begin as it says, begin on air and length of each chunk.
    """

    spans: list[tuple[int, float, float, float]] = field(default_factory=list)
    events: list[StationEvent] = field(default_factory=list)

    def chunk(self, chunk: AudioChunk) -> None:
        samples = soundfile.read(io.BytesIO(chunk.data), dtype="int16")[0]
        start = (chunk.captured_at or 0) / 1000 - _EPOCH
        aired = on_air(samples, start)
        self.spans.append((chunk.sequence or 0, start, aired, len(samples) / SAMPLE_RATE))

    def event(self, event: StationEvent) -> None:
        self.events.append(event)

    def observed(self, receiver: Receiver) -> None:
        pass


@dataclass(frozen=True)
class Day:
    """What a day showed.

    Attributes
    ----------
    memory
        Peak resident memory at each tenth of the day, in MB.
    tasks
        Tasks of the event loop then.
    """

    heard: Heard
    air: OnAir
    failures: dict[str, int]
    missing_seconds: float
    memory: list[float]
    tasks: list[int]


def play(hours: float, seed: int) -> Day:
    """Listen for so many hours of the fast clock."""
    loop = FastLoop()
    try:
        return loop.run_until_complete(_listen(loop, hours * 3600.0, seed))
    finally:
        loop.close()


async def _listen(loop: FastLoop, seconds: float, seed: int) -> Day:
    air, heard = OnAir(random.Random(seed), loop.time), Heard()
    receiver = Receiver(
        Station(id="day", name="day", url="http://day/", silence_dbfs=-119.0),
        heard,
        open_source=air.open,
        random=random.Random(seed),
        monotonic=loop.time,
        wall=lambda: _EPOCH + loop.time(),
    )
    running, memory, tasks = asyncio.create_task(receiver.run()), list[float](), list[int]()
    for _ in range(10):
        await asyncio.sleep(seconds / 10)
        gc.collect()
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        tasks.append(len(asyncio.all_tasks()))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    figures = receiver.figures
    return Day(heard, air, figures.failures, figures.missing_seconds, memory, tasks)


def untold_minutes(day: Day, slack: float = 1.0) -> list[str]:
    """Return the minutes of which neither is true: heard, or told as missing."""
    spans, problems = day.heard.spans, list[str]()
    first, last = spans[0][1], spans[-1][1]
    seconds = Counter[int]()
    for _, start, _, length in spans:
        _spread(seconds, start, length)
    for (_, a, _, length), (_, b, _, _) in pairwise(spans):
        if b - (a + length) < -0.001:
            problems.append(f"at {b:.1f} s chunks overlap by {a + length - b:.3f} s")
        _spread(seconds, a + length, max(0.0, b - a - length))
    for minute in range(int(first // 60) + 1, int(last // 60)):
        if abs(seconds[minute] - 60.0) > slack:
            problems.append(f"minute {minute}: {seconds[minute]:.2f} s are heard or told")
    return problems


def _spread(seconds: Counter[int], start: float, length: float) -> None:
    while length > 0.0:
        minute = int(start // 60)
        part = min(length, 60.0 * (minute + 1) - start)
        seconds[minute] += part  # type: ignore[assignment]  # it counts seconds
        start, length = start + max(part, 1e-9), length - part


def problems(day: Day) -> list[str]:
    """Return what does not hold of a day."""
    spans, events = day.heard.spans, day.heard.events
    found = untold_minutes(day)
    late = [start - aired for _, start, aired, _ in spans]
    off = [(start, error) for (_, start, _, _), error in zip(spans, late, strict=True)
           if not -0.1 <= error <= 3.0]  # fmt: skip
    found += [f"at {start:.0f} s times are {error:.2f} s off" for start, error in off[:5]]
    if not all(a[0] < b[0] for a, b in pairwise(spans)):
        found.append("numbers go back or stand")
    gaps = sum(b[1] - a[1] - a[3] for a, b in pairwise(spans))
    if abs(gaps - day.missing_seconds) > 60.0:
        found.append(f"{gaps:.1f} s are missing, {day.missing_seconds:.1f} s are counted")
    skipped = sum(b[0] - a[0] - 1 for a, b in pairwise(spans))
    if abs(3.0 * skipped - gaps) > 3.0:
        found.append(f"{skipped} numbers are skipped for {gaps:.1f} s")
    told = sum(e.missing_seconds or 0.0 for e in events)
    if abs(told - gaps) > 60.0:
        found.append(f"events tell {told:.1f} s of {gaps:.1f} s")
    kinds = [e.kind for e in events if e.kind in ("connected", "lost")]
    if any(a == b for a, b in pairwise(kinds)):
        found.append("an outage or its end is reported twice")
    heard = sum(length for _, _, _, length in spans)
    if heard < 0.98 * day.air.offered:
        found.append(f"{heard:.0f} s of {day.air.offered:.0f} s are heard")
    if day.memory[-1] - day.memory[1] > _GROWTH_MB:
        found.append(f"memory: {day.memory}")
    if len(set(day.tasks)) > 2 or max(day.tasks) > 6:
        found.append(f"tasks: {day.tasks}")
    return found


def main() -> None:
    """Play a day; the exit code is 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    day = play(options.hours, options.seed)
    heard = sum(span[3] for span in day.heard.spans)
    kinds = dict(Counter(event.kind for event in day.heard.events))
    found = problems(day)
    lines = [
        f"{options.hours:g} h, seed {options.seed}: {heard:.0f} s of {day.air.offered:.0f} s on "
        f"air heard in {len(day.heard.spans)} chunks, {day.missing_seconds:.0f} s missing",
        f"events {kinds}",
        f"failures {day.failures}",
        f"memory by tenths {[round(mb) for mb in day.memory]} MB, tasks {day.tasks}",
        *found,
        f"{len(found)} problems",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
