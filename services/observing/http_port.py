"""One small port for metrics and probes: aiohttp in a thread and an event loop of its own.

It shares nothing with what it reports on, so that it answers even when that stands still. Whoever
connects cannot cost more than a few connections for a few seconds: each connection has a deadline,
and the oldest one makes room for a new one.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from schemas.errors import SettingsError
from services.settings import Settings

#: A connection is closed by then, whatever it has sent.
CONNECTION_SECONDS: Final = 10.0
#: Connections at a time.
MAX_CONNECTIONS: Final = 64
_START_SECONDS: Final = 10.0
_LONGEST_LINE: Final = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe is told: whether all is well, and why (not)."""

    ok: bool
    text: str


Probe = Callable[[], Answer]


def serve(settings: Settings, registry: CollectorRegistry, probes: Mapping[str, Probe]) -> None:
    """Serve ``/metrics`` and probes on the port of the settings, until the process ends.

    Raises
    ------
    SettingsError
        The port cannot be bound.
    """
    started = threading.Event()
    failures: list[OSError] = []
    application = _application(registry, probes)
    work = partial(_serve, application, settings, started, failures)
    threading.Thread(target=lambda: asyncio.run(work()), name="http-port", daemon=True).start()
    started.wait(_START_SECONDS)
    if failures:
        raise SettingsError(
            f"GENRESTREAM_HTTP_PORT={settings.http_port} on GENRESTREAM_HTTP_HOST="
            f"{settings.http_host} cannot be served: {failures[0].strerror}; choose another, "
            "0 for none"
        ) from failures[0]


async def _serve(
    application: web.Application,
    settings: Settings,
    started: threading.Event,
    failures: list[OSError],
) -> None:
    runner = web.AppRunner(
        application, access_log=None, max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE
    )
    await runner.setup()
    assert runner.server
    connections = _Connections(runner.server)
    try:
        loop = asyncio.get_running_loop()
        await loop.create_server(connections.open, settings.http_host, settings.http_port)
    except OSError as error:
        failures.append(error)
        return
    finally:
        started.set()
    await asyncio.Event().wait()


class _Connections:
    """Bounds how many connections there are, and how long each lasts.

    Parameters
    ----------
    create
        Makes aiohttp's protocol for a new connection.
    """

    def __init__(self, create: Callable[[], Any]) -> None:
        self._create = create
        self._open: dict[Any, asyncio.TimerHandle] = {}

    def open(self) -> Any:
        """Make the protocol of a new connection; the oldest one makes room for it."""
        if len(self._open) >= MAX_CONNECTIONS:
            self._close(next(iter(self._open)))
        protocol = self._create()
        loop = asyncio.get_running_loop()
        self._open[protocol] = loop.call_later(CONNECTION_SECONDS, self._close, protocol)
        return protocol

    def _close(self, protocol: Any) -> None:
        self._open.pop(protocol).cancel()
        # Many connections taken in one turn of the loop have no transport yet: they get it first.
        asyncio.get_running_loop().call_soon(_abort, protocol)


def _abort(protocol: Any) -> None:
    transport = protocol.transport
    protocol.force_close()
    if transport is not None:
        transport.abort()


def _application(registry: CollectorRegistry, probes: Mapping[str, Probe]) -> web.Application:
    application = web.Application()
    application.router.add_get("/metrics", _metrics(registry))
    for path, probe in probes.items():
        application.router.add_get(path, _answer(probe))
    paths = ", ".join(["/metrics", *probes])
    application.router.add_get("/{other:.*}", _not_found(paths))
    return application


Handler = Callable[[web.Request], Awaitable[web.Response]]


def _metrics(registry: CollectorRegistry) -> Handler:
    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    return metrics


def _answer(probe: Probe) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        found = probe()
        status = HTTPStatus.OK if found.ok else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(text=f"{found.text}\n", status=status)

    return answer


def _not_found(paths: str) -> Handler:
    async def not_found(_: web.Request) -> web.Response:
        return web.Response(text=f"here are {paths}\n", status=HTTPStatus.NOT_FOUND)

    return not_found
