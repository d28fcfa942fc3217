"""Run one receiver process until a signal."""

import asyncio
import logging.config
import time
from typing import Final

from features.formats.ffmpeg import ffmpeg_path
from schemas.errors import SettingsError
from services.kafka.rights import require_rights
from services.kafka.security import explain_refusal
from services.observing.http_port import Answer, serve
from services.observing.logs import log_configuration
from services.receiver.agent import Agent
from services.receiver.reasons import reason
from services.receiver.station_metrics import StationMetrics
from services.settings import Settings

_STOP_SECONDS: Final = 4.0


async def run_receiver(settings: Settings) -> None:
    """Listen to stations until cancelled.

    Raises
    ------
    GenrestreamError
        There is no ffmpeg, no broker, or a topic is missing.
    """
    from aiokafka.errors import KafkaError

    logging.config.dictConfig(log_configuration(settings.log_level, settings.log_format))
    if ffmpeg_path() is None:
        raise SettingsError(str(reason("no-ffmpeg")))
    await require_rights(settings, "receiver")
    metrics = StationMetrics()
    agent = Agent(settings, metrics)
    if settings.http_port:
        probes = {"/healthz": lambda: _alive(agent, settings), "/readyz": lambda: _ready(agent)}
        serve(settings, metrics.registry, probes)
    running = asyncio.create_task(agent.run())
    try:
        await running
    except KafkaError as error:
        raise await explain_refusal(settings, error) from error
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=_STOP_SECONDS)


def _alive(agent: Agent, settings: Settings) -> Answer:
    still = time.monotonic() - agent.polled
    if still > settings.stall_seconds:
        return Answer(False, f"the topic of stations was not read for {still:.0f} s")
    return Answer(True, "alive")


def _ready(agent: Agent) -> Answer:
    return Answer(True, "ready") if agent.ready else Answer(False, "no partitions are assigned yet")
