"""``genrestream up``: the whole system, kept running."""

import asyncio
from pathlib import Path

from rich.console import Console

from schemas import Station
from schemas.errors import SettingsError
from services.console import station_list
from services.console.stack import SERVICES, SERVICES_WITH_RECEIVER, running_stack
from services.kafka.topics import Topics
from services.settings import DEFAULT_BOOTSTRAP_SERVERS, Settings

_USAGE = """[bold green]genrestream is up[/bold green] on [bold]{brokers}[/bold] with model \
{model}, until Ctrl-C. Audio sent before the workers are ready waits in the log.

  send     {environment}genrestream produce song.flac
           kcat -P -b {brokers} -X message.max.bytes=5000000 -t {chunks} song.wav
  receive  {environment}genrestream listen
           kcat -C -b {brokers} -t {predictions} -o end
"""


async def up(settings: Settings, port: int, stations: Path | None = None) -> None:
    """Keep the system running until cancelled; with a file of stations, listen to them.

    Raises
    ------
    SettingsError
        The file is wrong, or there is no ffmpeg.
    """
    listened = _read(stations) if stations else []
    services = SERVICES_WITH_RECEIVER if stations else SERVICES
    async with running_stack(settings, port=port, services=services) as stack:
        if stations:
            await station_list.apply(stack.settings, listened, prune=True)
        topics = Topics(settings.topic_prefix)
        Console(stderr=True).print(
            _USAGE.format(
                brokers=stack.settings.brokers,
                model=settings.model,
                environment=_environment(stack.settings),
                chunks=topics.chunks,
                predictions=topics.predictions,
            ),
            highlight=False,
            soft_wrap=True,
        )
        await stack.while_running(_for_ever())


def _read(stations: Path) -> list[Station]:
    from features.formats.ffmpeg import ffmpeg_path
    from services.receiver.reasons import reason
    from services.receiver.stations_file import read_stations

    if ffmpeg_path() is None:
        raise SettingsError(str(reason("no-ffmpeg")))
    return read_stations(stations)


def _environment(settings: Settings) -> str:
    """Return the variables that other commands need to find this system."""
    values = {}
    if settings.brokers != DEFAULT_BOOTSTRAP_SERVERS:
        values["KAFKA_BOOTSTRAP_SERVERS"] = settings.brokers
    if settings.topic_prefix:
        values["GENRESTREAM_TOPIC_PREFIX"] = settings.topic_prefix
    return "".join(f"{name}={value} " for name, value in values.items())


async def _for_ever() -> None:
    await asyncio.Event().wait()
