"""Apache Kafka crashes or stands still under load: nothing is missing, nothing differs."""

import asyncio
import logging
import signal
import time

import pytest

from tests.broker.harness import fresh_settings
from tests.faults.brokers import Broker
from tests.faults.harness import Outcome, Run, running
from tests.faults.load import MODEL, Scale, crowd, portions
from tests.faults.test_workers import FINISH_SECONDS, IDLE_SECONDS

pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(900)]

logger = logging.getLogger(__name__)


def _run(kafka: Broker, scale: Scale, fault: str) -> Outcome:
    settings = fresh_settings(
        kafka.address, f"{fault}.", idle_timeout_seconds=IDLE_SECONDS, model=MODEL
    )

    async def scenario() -> Outcome:
        async with running(settings) as run:
            run.supervised = fault == "crash"
            first, second, third = portions(crowd(scale), 3)
            await run.feed(first, 5)
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
    """Stop the broker process for the time of a long network cut; workers must tell of it."""
    kafka.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    told = await run.until_async(lambda: _all_tell(run), PAUSE_SECONDS)
    await run.until(lambda: time.monotonic() - begun >= PAUSE_SECONDS, PAUSE_SECONDS)
    kafka.send_signal(signal.SIGCONT)
    assert told, "/healthz of a worker did not tell that no broker answers"
    run.supervised = True
    assert await run.until_async(lambda: _all_alive(run), RECOVERY_SECONDS), "not alive again"


async def _all_tell(run: Run) -> bool:
    answers = [await asyncio.to_thread(port.get, "/healthz") for port in run.crew.ports.values()]
    return all(status == 503 and "no broker has answered" in text for status, text in answers)


async def _all_alive(run: Run) -> bool:
    run.crew.revive()
    ports = run.crew.ports.values()
    return all([await asyncio.to_thread(port.is_ok, "/healthz") for port in ports])


PAUSE_SECONDS = 30.0
RECOVERY_SECONDS = 90.0


def test_a_crash_of_the_broker_loses_nothing(kafka: Broker, scale: Scale) -> None:
    _run(kafka, scale, "crash").assert_exact()


def test_a_pause_of_the_broker_loses_nothing(kafka: Broker, scale: Scale) -> None:
    _run(kafka, scale, "pause").assert_exact()
