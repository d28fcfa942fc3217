"""Apache Kafka crashes or stands still under load: nothing is missing, nothing differs."""

import asyncio
import logging
import signal

import pytest

from tests.broker.harness import fresh_settings
from tests.faults.brokers import Broker
from tests.faults.harness import Outcome, Run, running
from tests.faults.load import Scale, crowd, portions
from tests.faults.test_workers import FINISH_SECONDS, IDLE_SECONDS

pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(900)]

logger = logging.getLogger(__name__)


def _run(kafka: Broker, scale: Scale, fault: str) -> Outcome:
    settings = fresh_settings(kafka.address, f"{fault}.", idle_timeout_seconds=IDLE_SECONDS)

    async def scenario() -> Outcome:
        async with running(settings) as run:
            run.supervised = True
            first, second, third = portions(crowd(scale), 3)
            await run.send(first)
            assert await run.progress(5), "nothing comes out any more"
            sending = asyncio.create_task(run.send(second))
            await _crash(kafka) if fault == "crash" else await _pause(kafka, run)
            await sending
            await run.send(third)
            outcome = await run.finish(FINISH_SECONDS)
            logger.info("workers that ended by themselves: %s", run.crew.exits)
            return outcome

    return asyncio.run(scenario())


async def _crash(kafka: Broker) -> None:
    await asyncio.to_thread(kafka.kill)
    await asyncio.to_thread(kafka.start)


async def _pause(kafka: Broker, run: Run) -> None:
    """Stop the broker process for the time of a long network cut."""
    kafka.send_signal(signal.SIGSTOP)
    await run.until(lambda: False, PAUSE_SECONDS)  # the fault lasts so long, whatever happens
    kafka.send_signal(signal.SIGCONT)


PAUSE_SECONDS = 30.0


def test_a_crash_of_the_broker_loses_nothing(kafka: Broker, scale: Scale) -> None:
    _run(kafka, scale, "crash").assert_exact()


def test_a_pause_of_the_broker_loses_nothing(kafka: Broker, scale: Scale) -> None:
    _run(kafka, scale, "pause").assert_exact()
