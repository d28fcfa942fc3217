"""Workers are killed, restarted and paused in mid-stream: nothing is missing, nothing differs."""

import asyncio
import random
import signal

import pytest

from services.runtime.settings import Settings
from tests.broker.harness import fresh_settings
from tests.faults.harness import Outcome, Run, running
from tests.faults.load import Scale, crowd, portions

pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(900)]

#: Streams of the load have gaps while nothing is sent; none may count as idle.
IDLE_SECONDS = 3600.0
FINISH_SECONDS = 60.0


def _settings(brokers: str, prefix: str) -> Settings:
    return fresh_settings(brokers, prefix, idle_timeout_seconds=IDLE_SECONDS)


def test_killed_workers_lose_nothing(brokers: str, scale: Scale) -> None:
    outcome = asyncio.run(_kill_at_random(_settings(brokers, "kill."), scale))
    outcome.assert_exact()


async def _kill_at_random(settings: Settings, scale: Scale) -> Outcome:
    rng = random.Random(scale.seed)
    async with running(settings) as run:
        *parts, last = portions(crowd(scale), scale.faults + 1)
        for part in parts:
            await run.send(part)
            assert await run.progress(rng.randint(1, 8)), "nothing comes out any more"
            await run.crew.restart(rng.choice(run.crew.names), signal.SIGKILL)
        await run.send(last)
        return await run.finish(FINISH_SECONDS)


def test_a_rolling_restart_loses_and_repeats_nothing(brokers: str, scale: Scale) -> None:
    outcome = asyncio.run(_roll(_settings(brokers, "roll."), scale))
    outcome.assert_exact()
    assert outcome.features.duplicates == 0
    assert outcome.predictions.duplicates == 0


async def _roll(settings: Settings, scale: Scale) -> Outcome:
    async with running(settings) as run:
        parts = portions(crowd(scale), len(run.crew.names) + 1)
        for name, part in zip(run.crew.names, parts, strict=False):
            await run.send(part)
            assert await run.progress(5), "nothing comes out any more"
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
        await run.send(first)
        assert await run.progress(5), "nothing comes out any more"
        run.crew.send(zombie, signal.SIGSTOP)
        await run.send(second)
        assert await _caught_up(run), "the other worker did not take over"
        run.crew.send(zombie, signal.SIGCONT)
        await run.progress(1, settings.session_timeout_seconds)  # it has its chance to do harm
        await run.crew.restart(heir, signal.SIGKILL)
        await run.send(third)
        run.supervised = True
        return await run.finish(FINISH_SECONDS)


async def _caught_up(run: Run) -> bool:
    wanted = await run.expected()
    return await run.until(
        lambda: len({r.value for r in run.predictions}) >= len(wanted.predictions), FINISH_SECONDS
    )
