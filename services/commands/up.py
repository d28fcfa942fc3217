"""``genrestream up``: the whole system, kept running."""

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from schemas import Station
from schemas.errors import SettingsError
from services.commands.gateway import MISSING
from services.console import station_list
from services.console.stack import running_stack
from services.kafka.topics import Topics
from services.settings import DEFAULT_BOOTSTRAP_SERVERS, Settings

_USAGE = """[bold green]genrestream is up[/bold green] on [bold]{brokers}[/bold] with model \
{model}, until Ctrl-C. Audio sent before the workers are ready waits in the log.

  send     {environment}genrestream produce song.flac
           kcat -P -b {brokers} -X message.max.bytes=5000000 -t {chunks} song.wav
  receive  {environment}genrestream listen
           kcat -C -b {brokers} -t {predictions} -o end
  see it   {page}
"""
#: What runs beside extractor and classifier.
_SERVICES: Final[Sequence[str]] = ("extractor", "classifier")


async def up(settings: Settings, port: int, stations: Path | None = None) -> None:
    """Keep the system running until cancelled; with a file of stations, listen to them.

    Raises
    ------
    SettingsError
        The file is wrong, or there is no ffmpeg.
    """
    listened = _read(stations) if stations else []
    has_page = bool(find_spec("fastapi") and find_spec("uvicorn"))
    services = (*_SERVICES, "gateway") if has_page else _SERVICES
    if stations:
        services = (*services, "receiver")
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
                page=_page(settings) if has_page else escape(MISSING),
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


def _page(settings: Settings) -> str:
    """Return the address of the page, as it is asked for on this machine."""
    host = settings.gateway_host
    shown = "localhost" if host == "127.0.0.1" else host
    return f"http://{shown}:{settings.gateway_port}"


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
