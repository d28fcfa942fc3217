"""Workers are killed, restarted and paused in mid-stream: nothing is missing, nothing differs."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.classifier.heads import tiny_head
from tests.faults.groups import Groups, connected_groups
from tests.faults.harness import SERVICES, Outcome, Run, running
from tests.faults.load import MODEL, Scale, crowd, portions, timed_crowd

pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(900)]

#: Streams of the load have gaps while nothing is sent; none may count as idle.
IDLE_SECONDS = 3600.0
FINISH_SECONDS = 60.0
#: Seconds by which the begins of the streams are spread for each fault, so that audio still flows.
_SPREAD = 10.0
_REBALANCES = 6


def _settings(brokers: str, prefix: str, *heads: Path) -> Settings:
    return fresh_settings(
        brokers,
        prefix,
        idle_timeout_seconds=IDLE_SECONDS,
        model=MODEL,
        heads=tuple(map(str, heads)),
    )


def test_killed_workers_lose_nothing(brokers: str, scale: Scale, tmp_path: Path) -> None:
    """Neither genres nor the tags of a head."""
    head = tiny_head(tmp_path / "tagger.onnx", recipe="librosa-52")
    outcome = asyncio.run(_kill_at_random(_settings(brokers, "kill.", head), scale))
    outcome.assert_exact()
    assert len(outcome.expected.tags) == len(outcome.expected.predictions)
    assert len(outcome.expected.finals) >= scale.streams
    assert outcome.features.duplicates <= outcome.in_flight["extractor"]
    assert outcome.predictions.duplicates <= outcome.in_flight["classifier"]


async def _kill_at_random(settings: Settings, scale: Scale) -> Outcome:
    """Kill workers while audio flows in real time."""
    rng, done = random.Random(scale.seed), asyncio.Event()
    async with running(settings) as run:
        load = timed_crowd(scale, _SPREAD * scale.faults, done.is_set)
        playing = asyncio.create_task(run.play(load))
        for _ in range(scale.faults):
            await run.progress(rng.randint(1, 8))
            await run.kill(rng.choice(run.crew.names))
        done.set()
        await playing
        return await run.finish(FINISH_SECONDS)


def test_a_worker_added_and_removed_under_load_loses_nothing(brokers: str, scale: Scale) -> None:
    asyncio.run(_add_and_remove(_settings(brokers, "scale."), scale)).assert_exact()


async def _add_and_remove(settings: Settings, scale: Scale) -> Outcome:
    """Let one worker of each service come and another one go while audio flows in real time."""
    done = asyncio.Event()
    async with running(settings) as run, connected_groups(settings) as groups:

        async def shared_by(count: int) -> bool:
            return await run.until_async(lambda: _all_shared(groups, count), FINISH_SECONDS)

        load = timed_crowd(scale, _SPREAD * _REBALANCES, done.is_set)
        playing = asyncio.create_task(run.play(load))
        await run.progress(5)
        for service in SERVICES:
            run.crew.start(f"{service}-added")
        assert await shared_by(3), "the new workers got no partitions"
        await run.progress(10)
        for service in SERVICES:
            assert await run.crew.end(f"{service}-0", signal.SIGTERM) == 0
        assert await shared_by(2), "the others did not take over"
        done.set()
        await playing
        return await run.finish(FINISH_SECONDS)


async def _all_shared(groups: Groups, count: int) -> bool:
    return all([await groups.has_members(service, count) for service in SERVICES])


def test_a_rolling_restart_loses_and_repeats_nothing(brokers: str, scale: Scale) -> None:
    outcome = asyncio.run(_roll(_settings(brokers, "roll."), scale))
    outcome.assert_exact()
    assert outcome.features.duplicates == 0
    assert outcome.predictions.duplicates == 0


async def _roll(settings: Settings, scale: Scale) -> Outcome:
    async with running(settings) as run:
        parts = portions(crowd(scale), len(run.crew.names) + 1)
        for name, part in zip(run.crew.names, parts, strict=False):
            await run.feed(part, 5)
            assert await run.crew.restart(name, signal.SIGTERM) == 0
        await run.send(parts[-1])
        return await run.finish(FINISH_SECONDS)


@pytest.mark.parametrize("service", ["extractor", "classifier"])
def test_a_zombie_writes_nothing_that_differs(brokers: str, scale: Scale, service: str) -> None:
    settings = _settings(brokers, f"zombie-{service}.")
    outcome = asyncio.run(_pause_beyond_session(settings, scale, service))
    outcome.assert_exact()


async def _pause_beyond_session(settings: Settings, scale: Scale, service: str) -> Outcome:
    """Wake a worker that lost its partitions, then end the one that took them over."""
    zombie, heir = f"{service}-0", f"{service}-1"
    async with running(settings) as run:
        first, second, third = portions(crowd(scale), 3)
        await run.feed(first, 5)
        run.crew.send(zombie, signal.SIGSTOP)
        await run.send(second)
        assert await _caught_up(run), "the other worker did not take over"
        before = run.events
        run.crew.send(zombie, signal.SIGCONT)
        await run.until(lambda: run.events > before, settings.session_timeout_seconds)  # of harm
        await run.crew.restart(heir, signal.SIGKILL)
        await run.send(third)
        run.supervised = True
        return await run.finish(FINISH_SECONDS)


async def _caught_up(run: Run) -> bool:
    wanted = await run.expected()
    return await run.until(
        lambda: len({r.value for r in run.predictions}) >= len(wanted.predictions), FINISH_SECONDS
    )
