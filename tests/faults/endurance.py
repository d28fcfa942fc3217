"""Cold clusters and kills without end: ``make test-endurance``, for people with half an hour.

``cold``: fresh topics and groups, one worker of each service, streams that play; a second worker
of each joins at a random second of the first two minutes, then three workers are killed.
``kills``: on a warmed cluster every few seconds a worker of one service is killed, thirty times.
Whatever happens, nothing is missing, nothing differs, and every stream has one end.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from services.kafka.embedded_broker import embedded_broker
from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.faults.brokers import start_kafka
from tests.faults.harness import SERVICES, Crew, Outcome, Run, running
from tests.faults.load import MODEL, Scale, timed_crowd

KILLS: Final = 30
_COLD_SECONDS: Final = 120.0
_JOINERS_KILLED: Final = 3
_FINISH_SECONDS: Final = 120.0
#: Gaps between chunks of a stream grow on a busy machine; none may count as idle.
_IDLE_SECONDS: Final = 3600.0


async def cold(settings: Settings, scale: Scale) -> Outcome:
    """Let a second worker of each service join a young cluster, then kill three workers."""
    rng, done = random.Random(scale.seed), asyncio.Event()
    async with running(settings, crew=Crew(settings, 1)) as run:
        playing = asyncio.create_task(run.play(timed_crowd(scale, _COLD_SECONDS, done.is_set)))
        joins = sorted((rng.uniform(0, _COLD_SECONDS), service) for service in SERVICES)
        await _at_times(run, [(at, f"{service}-1") for at, service in joins])
        names = [f"{service}-{number}" for service in SERVICES for number in range(2)]
        for _ in range(_JOINERS_KILLED):
            await asyncio.sleep(rng.uniform(2.0, 8.0))
            await run.kill(rng.choice(names))
        done.set()
        await playing
        return await run.finish(_FINISH_SECONDS)


async def _at_times(run: Run, starts: Sequence[tuple[float, str]]) -> None:
    """Start workers at their seconds."""
    begun = asyncio.get_running_loop().time()
    for at, name in starts:
        await asyncio.sleep(max(0.0, begun + at - asyncio.get_running_loop().time()))
        logging.info("%s joins at %.1f s", name, at)
        run.crew.start(name)


async def kills(settings: Settings, scale: Scale, service: str, every: float) -> Outcome:
    """Kill the workers of one service by turns, every so many seconds."""
    done = asyncio.Event()
    async with running(settings) as run:
        load = timed_crowd(scale, KILLS * every / 2, done.is_set)
        playing = asyncio.create_task(run.play(load))
        await run.progress(5)
        for number in range(KILLS):
            await asyncio.sleep(every)
            await run.kill(f"{service}-{number % 2}")
        done.set()
        await playing
        return await run.finish(_FINISH_SECONDS)


@contextmanager
def broker(kind: str) -> Iterator[str]:
    """Run a broker of a kind; gives its address."""
    if kind == "embedded":
        with embedded_broker() as address:
            yield address
        return
    with tempfile.TemporaryDirectory() as folder:
        kafka = start_kafka(Path(folder))
        try:
            yield kafka.address
        finally:
            kafka.stop()


def settings_of(address: str, name: str) -> Settings:
    """Return settings with topics of their own, for the cheap model."""
    return fresh_settings(address, f"{name}.", idle_timeout_seconds=_IDLE_SECONDS, model=MODEL)


def report(name: str, outcome: Outcome) -> bool:
    """Print what a run gave, a JSON object a line; tell whether it was exact."""
    verdicts = (outcome.features, outcome.predictions, outcome.segments, outcome.tags)
    exact = all(verdict.is_exact for verdict in verdicts)
    exact &= outcome.dead_letters == outcome.expected.dead_letters
    found: dict[str, Any] = {"run": name, "exact": exact, "summary": outcome.summary}
    if not exact:
        found["missing"] = [sorted(verdict.missing)[:20] for verdict in verdicts]
        found["differing"] = [sorted(verdict.differing)[:20] for verdict in verdicts]
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    return exact


async def _side_by_side(
    runs: Sequence[tuple[str, Coroutine[Any, Any, Outcome]]], count: int
) -> list[bool]:
    """Do runs, so many at once, each with topics and workers of its own."""
    places = asyncio.Semaphore(count)

    async def one(name: str, run: Coroutine[Any, Any, Outcome]) -> bool:
        async with places:
            return report(name, await run)

    return await asyncio.gather(*(one(name, run) for name, run in runs))


def main() -> int:
    """Run what the command line asks for; 1 when a run was not exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=["cold", "kills"])
    parser.add_argument("--broker", choices=["embedded", "kafka"], default="kafka")
    parser.add_argument("--seeds", type=int, default=20, help="runs of `cold` (default 20)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--streams", type=int, default=30, help="that begin (default 30)")
    parser.add_argument("--at-once", type=int, default=3, help="runs side by side (default 3)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    with broker(arguments.broker) as address:
        runs = [*_runs(arguments, address)]
        exact = asyncio.run(_side_by_side(runs, arguments.at_once))
    sys.stdout.write(f"{sum(exact)} of {len(exact)} runs exact\n")
    return 0 if all(exact) else 1


def _runs(arguments: Any, address: str) -> Iterator[tuple[str, Coroutine[Any, Any, Outcome]]]:
    if arguments.scenario == "cold":
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            scale = Scale(arguments.streams, 30.0, 0, seed)
            yield f"cold-{seed}", cold(settings_of(address, f"cold-{seed}"), scale)
        return
    for service in SERVICES:
        for every in (8.0, 3.0):
            name = f"kills-{service}-{every:.0f}s"
            scale = Scale(arguments.streams, 30.0, KILLS, arguments.first_seed)
            yield name, kills(settings_of(address, name), scale, service, every)


if __name__ == "__main__":
    sys.exit(main())
