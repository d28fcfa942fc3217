"""``genrestream up``: the whole system, kept running."""

import asyncio
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from schemas import Station
from schemas.errors import SettingsError
from services.commands.gateway import MISSING
from services.commands.service import has_extra, require_extra
from services.console import station_list
from services.console.stack import running_stack
from services.kafka.topics import Topics
from services.settings import DEFAULT_BOOTSTRAP_SERVERS, Settings

_USAGE = """[bold green]genrestream is up[/bold green] on {broker} [bold]{brokers}[/bold] with \
model {model}, until Ctrl-C. Audio sent before the workers are ready waits in the log.

  send     {environment}genrestream produce song.flac
           kcat -P -b {brokers} -X message.max.bytes=5000000 -t {chunks} song.wav
  receive  {environment}genrestream listen
           kcat -C -b {brokers} -t {predictions} -o end
  history  {history}
  see it   {page}
{limit}"""
#: Measured by ``benchmarks.stations``: chunks, vectors, predictions and states of a station.
_LIMIT: Final = """\
  memory   this broker keeps all that it gets, some 90 MB an hour for each station or live stream;
           for days of many, set KAFKA_BOOTSTRAP_SERVERS to an Apache Kafka
"""
#: Of the embedded broker.
_PORT: Final = 9092
#: What runs beside what the settings and the installed packages add.
_SERVICES: Final[Sequence[str]] = ("extractor", "classifier")


async def up(settings: Settings, port: int | None = None, stations: Path | None = None) -> None:
    """Keep the system running until cancelled; with a file of stations, listen to them.

    Raises
    ------
    SettingsError
        A file of stations or rules is wrong, or packages or ffmpeg are missing for it; or a port
        is given for the embedded broker, and another broker; or the page's port is taken.
    """
    if settings.bootstrap_servers and port is not None:
        raise SettingsError(
            f"--port {port} is that of the embedded broker, but KAFKA_BOOTSTRAP_SERVERS="
            f"{settings.bootstrap_servers} names another: unset that, or leave --port out"
        )
    port = port or _PORT
    if stations:
        settings = settings.model_copy(update={"stations": stations.absolute()})
    listened = _read(settings.stations) if settings.stations else []
    has_page = bool(find_spec("fastapi") and find_spec("uvicorn"))
    if has_page:
        _require_free(settings)
    services = _services(settings, has_page=has_page)
    async with running_stack(settings, port=port, services=services) as stack:
        if settings.stations:
            await station_list.apply(stack.settings, listened, prune=True)
        topics = Topics(settings.topic_prefix)
        Console(stderr=True).print(
            _USAGE.format(
                broker="the broker" if settings.bootstrap_servers else "its own broker",
                brokers=stack.settings.brokers,
                model=settings.model,
                environment=_environment(stack.settings),
                chunks=topics.chunks,
                predictions=topics.predictions,
                history=escape(_history(settings)),
                page=_page(settings) if has_page else escape(MISSING),
                limit="" if settings.bootstrap_servers else _LIMIT,
            ),
            highlight=False,
            soft_wrap=True,
        )
        await stack.while_running(_for_ever())


def _require_free(settings: Settings) -> None:
    """Refuse a port of the page that another program has, before anything is started."""
    try:
        with socket.create_server((settings.gateway_host, settings.gateway_port)):
            pass
    except OSError as error:
        raise SettingsError(
            f"GENRESTREAM_GATEWAY_PORT={settings.gateway_port} on GENRESTREAM_GATEWAY_HOST="
            f"{settings.gateway_host} cannot be served ({error.strerror}): choose another port, as "
            f"GENRESTREAM_GATEWAY_PORT={settings.gateway_port + 1}"
        ) from error


def _services(settings: Settings, *, has_page: bool) -> tuple[str, ...]:
    """Return the services to run: those that are asked for, and those whose packages are there."""
    if settings.rules:
        require_extra("notify")
        from services.notifier.rules import load_rules

        load_rules(settings.rules)  # so that a fault in it is the one line that comes out
    wanted = {
        "gateway": has_page,
        "recorder": has_extra("history"),
        "receiver": settings.stations is not None,
        "notifier": settings.rules is not None,
    }
    return (*_SERVICES, *(service for service, is_wanted in wanted.items() if is_wanted))


def _history(settings: Settings) -> str:
    if not has_extra("history"):
        return "is kept with more packages: pip install 'genrestream[history]'"
    from services.recorder.database import database_url, shown

    return f"is kept in {shown(database_url(settings))}: genrestream history show STREAM"


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
