"""Faults of stations and receivers, again and again: ``python -m tests.radio.endurance``.

``faults``: stations with servers of their own, each of which has every fault of `faults.py` in a
seeded order, and then loses its decoder. The servers send a programme that says when it was on air.
``receivers``: two receivers share the stations; one is killed, or stopped and continued.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from schemas import to_milliseconds
from services.kafka.embedded_broker import embedded_broker
from services.receiver.decoder import resident_bytes
from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.broker.shell import children
from tests.faults.brokers import start_kafka
from tests.radio.faults import FAULTS, LAST
from tests.radio.log import delay
from tests.radio.on_air import Radios, radios

#: Between two faults of a station: audio that makes the failures before forgotten.
REST_SECONDS: Final = 25.0
BACK_SECONDS: Final = 5.0
MOVED_SECONDS: Final = 30.0
GAP_SECONDS: Final = 1.0
GROWTH_BYTES: Final = 32 * 1024**2
_SETTLED_SECONDS: Final = 8.0
_STOPPED_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Trial:
    """A fault that a station had.

    Attributes
    ----------
    began, ended, until
        When the fault began and ended, and when the next may begin.
    """

    station: str
    fault: str
    began: float
    ended: float
    until: float


@dataclass(frozen=True)
class Result:
    """What a trial showed: `problems` is empty where all held."""

    trial: Trial
    back: float
    told: float
    error: float
    reasons: tuple[str, ...]
    problems: tuple[str, ...]


async def station_faults(run: Radios, chosen: Sequence[str], seed: int, rest: float) -> list[Trial]:
    """Let every station have every fault, and then kill all decoders."""
    run.start_receiver("only")
    await run.chunks_of_all(0.0)
    await asyncio.sleep(rest)
    of_each = await asyncio.gather(
        *(_suffer(run, s, chosen, random.Random(f"{seed} {s}"), rest) for s in run.servers)
    )
    began = time.time()
    for decoder in run.decoders():
        os.kill(decoder, signal.SIGKILL)
    await run.chunks_of_all(began + 1.0)
    await asyncio.sleep(_SETTLED_SECONDS)
    decoders = [Trial(s, "decoder", began, began, time.time()) for s in run.servers]
    last = await asyncio.gather(
        *(_have(run, s, LAST, random.Random(seed), rest) for s in run.servers if LAST in chosen)
    )
    return [trial for trials in (*of_each, decoders, last) for trial in trials]


async def _suffer(
    run: Radios, station: str, chosen: Sequence[str], rng: random.Random, rest: float
) -> list[Trial]:
    names = [n for n in chosen if run.servers[station].certificates or not FAULTS[n].secure]
    rng.shuffle(names)
    await asyncio.sleep(rng.uniform(0.0, rest))
    return [await _have(run, station, name, rng, rest) for name in names if name != LAST]


async def _have(run: Radios, station: str, name: str, rng: random.Random, rest: float) -> Trial:
    """Let a station have a fault, and some audio after it."""
    fault, server, began = FAULTS[name], run.servers[station], time.time()
    await fault.begin(server, run.know)
    await asyncio.sleep(rng.uniform(*fault.seconds))
    await fault.end(server, run.know)
    ended = time.time()
    await run.chunk_after(station, ended)
    await run.no_outage(station)
    await asyncio.sleep(rest)
    return Trial(station, name, began, ended, time.time())


def judge(trial: Trial, run: Radios) -> Result:
    """Compare what a station reported of a fault with what was on air."""
    chunks, server = run.log.chunks[trial.station], run.servers[trial.station]
    before = [c for c in chunks if c.arrived <= trial.began][-2:]
    after = [c for c in chunks if trial.began < c.arrived <= trial.until]
    events = [
        e
        for e in run.log.events[trial.station]
        if trial.began < to_milliseconds(e.at) / 1000 <= trial.until
    ]
    back = min((c.arrived for c in after if c.arrived > trial.ended), default=1e12) - trial.ended
    told = sum(e.missing_seconds or 0.0 for e in events if e.kind == "connected")
    seen = sum(b.start - a.end for a, b in pairwise([*before, *after]))
    first, last = delay(before[0], server.began), delay(after[-1], server.began)
    error = float("nan") if first is None or last is None else last - first
    kinds = [e.kind for e in events]
    reasons = tuple(e.reason or "" for e in events if e.kind == "lost")
    return Result(
        *(trial, back, told, error, reasons),
        problems=tuple(_problems(trial.fault, back, told - seen, error, kinds, reasons)),
    )


def _problems(
    name: str,
    back: float,
    untold: float,
    error: float,
    kinds: Sequence[str],
    reasons: Sequence[str],
) -> Iterator[str]:
    fault = FAULTS.get(name)
    least, most = fault.outages if fault else (1, 1)
    allowed = fault.reasons if fault else {"decoder-died"}
    if back > BACK_SECONDS:
        yield f"audio flows after {back:.1f} s"
    if not abs(error) <= GAP_SECONDS:
        yield f"times are {error:+.2f} s off"
    if reasons and abs(untold) > GAP_SECONDS:
        yield f"the events tell {untold:+.2f} s more than the chunks"
    if not least <= len(reasons) <= most or kinds != ["lost", "connected"] * len(reasons):
        yield f"events: {', '.join(kinds) or 'none'}"
    if not allowed.issuperset(reasons):
        yield f"reasons: {', '.join(reasons)}"


def numbering_problems(run: Radios) -> Iterator[str]:
    """Yield stations whose numbers or times go back, or do not count what is missing."""
    for station, chunks in run.log.chunks.items():
        if not all(a.sequence < b.sequence for a, b in pairwise(chunks)):
            yield f"{station}: numbers go back or stand"
        overlap = max((a.end - b.start for a, b in pairwise(chunks)), default=0.0)
        if overlap > 0.1:
            yield f"{station}: chunks overlap by {overlap:.2f} s"
        skipped = sum(b.sequence - a.sequence - 1 for a, b in pairwise(chunks))
        missing = sum(b.start - a.end for a, b in pairwise(chunks))
        if abs(3.0 * skipped - missing) > 3.0:
            yield f"{station}: {skipped} numbers for {missing:.1f} s"


async def receiver_faults(run: Radios, rounds: int, kinds: Sequence[str]) -> list[str]:
    """Kill, or stop and continue, one of two receivers by turns; return what was wrong."""
    for name in ("a", "b"):
        run.start_receiver(name)
    await run.chunks_of_all(0.0)
    problems = list[str]()
    for number in range(rounds):
        for kind in kinds:
            await asyncio.sleep(_STOPPED_SECONDS)
            victim = run.receivers["ab"[number % 2]]
            left, began = children(victim.pid), time.time()
            victim.send_signal(signal.SIGKILL if kind == "killed" else signal.SIGSTOP)
            await run.chunks_of_all(began + 1.0)
            slowest = max(_first_after(run, s, began + 1.0) for s in run.servers) - began
            if kind == "killed":
                problems += [f"decoder {pid} lives on" for pid in left if _runs(pid)]
                victim.wait()
                run.start_receiver("ab"[number % 2])
            else:
                await asyncio.sleep(max(0.0, began + _STOPPED_SECONDS - time.time()))
                victim.send_signal(signal.SIGCONT)
            say(f"{kind}: {len(left)} stations, all back after {slowest:.1f} s")
            if slowest > MOVED_SECONDS:
                problems.append(f"{kind}: a station came back after {slowest:.1f} s")
            back = time.time()
            await asyncio.sleep(_STOPPED_SECONDS)
            await run.chunks_of_all(back + _STOPPED_SECONDS)
    return problems + [p for s in run.servers for p in _moving_problems(run, s)]


def _first_after(run: Radios, station: str, moment: float) -> float:
    return next(c.arrived for c in run.log.chunks[station] if c.arrived > moment)


def _moving_problems(run: Radios, station: str) -> Iterator[str]:
    """Compare each gap with what was on air, and all that was told with all gaps."""
    chunks, began = run.log.chunks[station], run.servers[station].began
    told = sum(e.missing_seconds or 0.0 for e in run.log.events[station])
    seen = sum(b.start - a.end for a, b in pairwise(chunks))
    gaps = [(a, b) for a, b in pairwise(chunks) if b.start - a.end > 0.05]
    errors = [(delay(b, began) or 0.0) - (delay(a, began) or 0.0) for a, b in gaps]
    worst = max(map(abs, errors), default=0.0)
    say(f"{station}: {len(gaps)} gaps, {seen:.1f} s, told {told:.1f} s, worst {worst:.2f} s off")
    if worst > GAP_SECONDS:
        yield f"{station}: a gap is {worst:.2f} s off"
    if abs(told - seen) > GAP_SECONDS * max(1, len(gaps)):
        yield f"{station}: {told:.1f} s of {seen:.1f} s are told"


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def try_stations(
    settings: Settings,
    count: int,
    chosen: Sequence[str],
    seed: int,
    rest: float = REST_SECONDS,
) -> int:
    """Run all faults of stations; print what was measured, and return how many did not hold."""
    with tempfile.TemporaryDirectory() as folder:
        async with radios(settings, Path(folder), count) as run:
            faults = asyncio.create_task(station_faults(run, chosen, seed, rest))
            await run.chunks_of_all(0.0)
            await asyncio.sleep(rest)
            pid = run.receivers["only"].pid
            before = resident_bytes(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))
            trials = await faults
            after = resident_bytes(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))
            decoders = run.decoders()
        results = [await asyncio.to_thread(judge, trial, run) for trial in trials]
    report(results)
    grown = (after[0] - before[0]) / 1024**2
    say(f"memory {before[0] / 1024**2:.0f} MB, grown by {grown:.1f} MB; files {before[1]} to "
          f"{after[1]}; decoders {len(decoders)}")  # fmt: skip
    problems = [*numbering_problems(run)]
    if after[0] - before[0] > GROWTH_BYTES or after[1] - before[1] > count:
        problems.append("memory or files grow")
    if len(decoders) != count:
        problems.append(f"{len(decoders)} decoders of {count} stations")
    problems += [f"decoder {pid} lives on" for pid in decoders if _runs(pid)]
    say("\n".join(problems))
    return len(problems) + sum(bool(result.problems) for result in results)


def report(results: Sequence[Result]) -> None:
    """Print a line for each fault, and one for each trial that did not hold."""
    for name in dict.fromkeys(result.trial.fault for result in results):
        ours = [result for result in results if result.trial.fault == name]
        held = sum(not result.problems for result in ours)
        worst = max(abs(result.error) for result in ours)
        reasons = sorted({reason for result in ours for reason in result.reasons})
        back = max(result.back for result in ours)
        say(f"{name:10} {held:3} of {len(ours):3} held; audio back after {back:5.2f} s at most; "
              f"times off by {worst:.2f} s at most; {', '.join(reasons)}")  # fmt: skip
    for result in sorted(results, key=lambda r: r.trial.fault):
        if result.problems:
            lasted = result.trial.ended - result.trial.began
            say(f"  {result.trial.fault} of {result.trial.station} ({lasted:.1f} s): "
                  f"{'; '.join(result.problems)}")  # fmt: skip


async def try_receivers(settings: Settings, count: int, rounds: int, kinds: Sequence[str]) -> int:
    """Run the faults of receivers; print what was wrong, and return how much."""
    with tempfile.TemporaryDirectory() as folder:
        async with radios(settings, Path(folder), count) as run:
            problems = await receiver_faults(run, rounds, kinds)
            decoders = run.decoders()
        problems += [f"decoder {pid} lives on" for pid in decoders if _runs(pid)]
        problems += numbering_problems(run)
    say("\n".join(problems))
    return len(problems)


@contextmanager
def broker(kind: str) -> Iterator[str]:
    """Run a broker of a kind; gives its address."""
    with ExitStack() as resources:
        if kind == "embedded":
            yield resources.enter_context(embedded_broker())
        else:
            kafka = start_kafka(Path(resources.enter_context(tempfile.TemporaryDirectory())))
            resources.callback(kafka.stop)
            yield kafka.address


def main() -> None:
    """Run what the command line asks for; the exit code is 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mode", choices=("faults", "receivers"))
    parser.add_argument("--stations", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="of the faults")
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    options = parser.parse_args()
    failures = 0
    with broker(options.broker) as address:
        settings = fresh_settings(address, "radio.")
        if options.mode == "receivers":
            kinds = options.only or ("killed", "stopped")
            failures = asyncio.run(try_receivers(settings, options.stations, options.rounds, kinds))
        for number in range(options.rounds if options.mode == "faults" else 0):
            settings = fresh_settings(address, "radio.")
            chosen = options.only or tuple(FAULTS)
            failures += asyncio.run(
                try_stations(settings, options.stations, chosen, options.seed + number)
            )
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
