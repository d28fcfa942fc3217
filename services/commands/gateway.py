"""``genrestream worker gateway``: the page and the API."""

import asyncio
import logging.config
from typing import Any

import msgspec
import uvloop

from schemas import Station
from schemas.errors import GenrestreamError, MessageError, SettingsError
from services.observing.logs import log_configuration
from services.settings import Settings

MISSING = "the page needs more packages: pip install 'genrestream[gateway]'"


def _history(settings: Settings) -> Any:
    """Return what asks the recorder's database; ``None`` without the packages that it needs."""
    try:
        from services.recorder import history_access, queries
    except ImportError:
        return None
    from services.gateway.problems import Problem

    def ask(station: str, start_ms: int, end_ms: int, step_seconds: int) -> bytes:
        try:
            with history_access.reading(settings) as connection:
                steps = queries.history(connection, station, start_ms, end_ms, step_seconds)
        except GenrestreamError as error:
            raise Problem("no-history", f"{error}.") from error
        return msgspec.json.encode({"station": station, "steps": steps})

    async def answer(station: str, start_ms: int, end_ms: int, step_seconds: int) -> bytes:
        return await asyncio.to_thread(ask, station, start_ms, end_ms, step_seconds)

    return answer


def check_station(station: Station) -> None:
    """Refuse a station that no receiver takes from an API: a command, a sound card, a file.

    Raises
    ------
    MessageError
        With the value, without its secrets, and the remedy.
    """
    from services.receiver.addresses import check_address

    try:
        check_address(station.url, local=False)
    except ValueError as error:
        raise MessageError(str(error)) from error


def run_gateway(settings: Settings) -> None:
    """Run a gateway until a signal.

    Raises
    ------
    GenrestreamError
        Something that it needs is missing: packages, a broker, the topics, a token, its port.
    """
    try:
        from services.gateway.server import create_gateway, serve
    except ImportError as error:
        raise SettingsError(f"{MISSING} ({error.name} is missing)") from error
    logging.config.dictConfig(log_configuration(settings.log_level, settings.log_format))
    gateway = create_gateway(settings)
    gateway.history = _history(settings)
    gateway.check_station = check_station
    uvloop.run(serve(gateway))
