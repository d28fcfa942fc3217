"""Run the gateway: uvicorn, with deadlines and limits for connections that bring nothing."""

import asyncio
import gc
import logging
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.errors import SettingsError
from services.gateway.access import Access, is_loopback
from services.gateway.app import create_app
from services.gateway.board import Board
from services.gateway.counting import Counters
from services.gateway.feed import Feed
from services.gateway.guard import MAX_HEADER_BYTES
from services.gateway.hub import Hub
from services.gateway.recorder_watch import watch_recorder
from services.gateway.replay import Replay
from services.gateway.state import Gateway
from services.gateway.tokens import TokenCheck
from services.kafka.clients import chunk_producer
from services.kafka.rights import require_rights
from services.settings import Settings

logger = logging.getLogger(__name__)

#: From a connection, or the end of an answer, to the end of the next request's headers.
HEADER_SECONDS: Final = 10.0
#: What comes of a body after its answer, and for how long, before the connection is cut off.
_UNREAD_BYTES: Final = 16 * 1024 * 1024
_UNREAD_SECONDS: Final = 5.0
_ANSWERED: Final = (h11.DONE, h11.MUST_CLOSE)
#: Connections beside those of readers of events.
_SPARE_CONNECTIONS: Final = 500
#: Files and sockets that are no connection of ours: of the broker, the database, uploads.
_OTHER_FILES: Final = 200
_STOP_SECONDS: Final = 2
_CANCEL_SECONDS: Final = 1.0
_MAX_SOCKET_MESSAGE: Final = 1024 * 1024


def room_for(connections: int) -> int:
    """Raise the limit of open files for so many connections; return how many there is room for.

    Who comes beyond that is refused: a process without a file left could not even do that.
    """
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    wanted = connections + _OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(connections, max(1, soft - _OTHER_FILES))


class PunctualProtocol(H11Protocol):
    """uvicorn's protocol, for clients that are slow or many.

    uvicorn waits for ever for the headers of a first request, takes any number of connections, and
    after an answer that came early, such as 413, reads the rest of the body, however long.
    """

    _deadline: asyncio.TimerHandle | None = None
    _unread: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there is room."""
        if self.limit_concurrency and len(self.connections) >= self.limit_concurrency:
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        if self.flow:  # else there was no room
            self._forget()
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; headers that have begun must end in time."""
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state in _ANSWERED:
            self._unread += len(data)
            if self._unread > _UNREAD_BYTES:
                self.transport.abort()
        elif self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._deadline is None:
            self._watch()

    def on_response_complete(self) -> None:
        """Give who still sends a body a moment to read the answer."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch(_UNREAD_SECONDS)

    def _watch(self, seconds: float = HEADER_SECONDS) -> None:
        self._forget()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _forget(self) -> None:
        self._unread = 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """A server whose readers of events end when it stops."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End in order, with 0; uvicorn would raise the signal once more at its end."""
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Say goodbye, then stop."""
        self._hub.close("restart")
        await super().shutdown(sockets)


def create_gateway(settings: Settings) -> Gateway:
    """Make the parts of a gateway.

    Raises
    ------
    SettingsError
        It would be open to other machines without a token.
    """
    token = settings.token.get_secret_value() if settings.token else None
    if token is None and not is_loopback(settings.gateway_host):
        raise SettingsError(
            f"GENRESTREAM_GATEWAY_HOST={settings.gateway_host} lets other machines in: set "
            "GENRESTREAM_TOKEN to a secret of 16 characters or more, or use 127.0.0.1"
        )
    counters, board = Counters(), Board()
    hub = Hub(lambda reason: counters.dropped.labels(reason).inc())
    feed = Feed(settings, board, hub, observe_delay=counters.delay.observe)
    access = Access(TokenCheck(token), settings.gateway_origins)
    return Gateway(settings, access, board, hub, feed, Replay(settings), counters)


async def serve(gateway: Gateway) -> None:
    """Serve until a signal.

    Raises
    ------
    BrokerError
        No broker answers at the start.
    SettingsError
        The port cannot be bound.
    """
    settings = gateway.settings
    await require_rights(settings, "gateway")
    async with chunk_producer(settings) as producer:
        gateway.producer = producer
        server = Server(_configuration(gateway), gateway.hub)
        tasks = [
            asyncio.create_task(gateway.feed.run()),
            asyncio.create_task(watch_recorder(settings, gateway.feed)),
        ]
        gc.collect()
        gc.freeze()  # what is imported stays: a full collection would hold everybody up for 0.1 s
        try:
            await server.serve()
        except SystemExit as error:
            raise SettingsError(
                f"GENRESTREAM_GATEWAY_PORT={settings.gateway_port} on "
                f"GENRESTREAM_GATEWAY_HOST={settings.gateway_host} cannot be served: choose "
                "another port"
            ) from error
        finally:
            await _end(tasks)


async def _end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel tasks until they end: a library may take a cancellation for a fault of its own."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_SECONDS)


def _configuration(gateway: Gateway) -> uvicorn.Config:
    settings = gateway.settings
    return uvicorn.Config(
        create_app(gateway),
        host=settings.gateway_host,
        port=settings.gateway_port,
        http=PunctualProtocol,
        ws_max_size=_MAX_SOCKET_MESSAGE,
        ws_per_message_deflate=False,
        limit_concurrency=room_for(settings.gateway_readers + _SPARE_CONNECTIONS),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=_STOP_SECONDS,
        access_log=False,
        server_header=False,
        log_config=None,
        lifespan="off",
        backlog=1024,
    )
