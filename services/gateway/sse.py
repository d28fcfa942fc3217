"""Server-Sent Events: one answer that goes on until the reader leaves or is dropped."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway.cursor import Partition
from services.gateway.events import block, retell, status
from services.gateway.feed import now_ms
from services.gateway.hub import Hub, Reader, Selection, blocks, chunk
from services.gateway.replay import MAX_MESSAGES, count_messages
from services.gateway.state import Gateway

_HEARTBEAT_SECONDS: Final = 15.0
#: A write that takes longer means that the other side does not read.
_WRITE_SECONDS: Final = 10.0
_RETRY_MS: Final = (1_000, 4_000)
_BLOCKS_A_WRITE: Final = 100
#: So much is written without waiting, when a reader has come so far.
_LATE_BYTES: Final = 256 * 1024
_HEARTBEAT: Final = b": heartbeat\n\n"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class EventStream(Response):
    """Sends events to one reader.

    Parameters
    ----------
    gateway
        Where they come from.
    selection
        Which.
    begin
        Offsets to begin with; ``None`` for what comes from now on.
    """

    def __init__(
        self, gateway: Gateway, selection: Selection, begin: Mapping[Partition, int] | None
    ) -> None:
        super().__init__()
        self._gateway = gateway
        self._selection = selection
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the reader leaves, is dropped or the gateway stops."""
        transport = scope["genrestream.transport"]
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        self._gateway.counters.readers.inc()
        leaving = asyncio.create_task(_until_left(receive))
        beginning = asyncio.create_task(self._begin_all(send))
        try:
            await asyncio.wait([leaving, beginning], return_when=asyncio.FIRST_COMPLETED)
            if beginning.done():
                beginning.result()
                reader = Reader(transport, chunked=scope["http_version"] != "1.0")
                await self._go_on(reader, leaving)
        except TimeoutError:
            self._gateway.counters.dropped.labels("stalled").inc()
            transport.abort()
        finally:
            self._gateway.counters.readers.dec()
            for task in (leaving, beginning):
                task.cancel()
            await asyncio.wait([leaving, beginning])

    async def _begin_all(self, send: Send) -> None:
        """Send what there is to say first, each write in time."""
        async for data in self._first_blocks():
            async with asyncio.timeout(_WRITE_SECONDS):
                await send({"type": "http.response.body", "body": data, "more_body": True})

    async def _first_blocks(self) -> AsyncIterator[bytes]:
        gateway = self._gateway
        yield f"retry: {random.randint(*_RETRY_MS)}\n\n".encode()
        yield block(status(gateway.feed.status()), None)
        while not gateway.feed.caught_up:  # else a reader's place may lie ahead of ours
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await gateway.feed.all_read.wait()
            yield _HEARTBEAT
        async for data in self._missed(gateway.hub):
            yield data

    async def _go_on(self, reader: Reader, leaving: "asyncio.Task[None]") -> None:
        """Let the hub write, from where the beginning ended, until the connection ends.

        Nothing is published between what is kept and what the hub writes: neither waits.
        """
        hub = self._gateway.hub
        late = self._late(hub)
        hub.join(self._selection, reader)
        try:
            if late:
                reader.offer(chunk(late) if reader.chunked else late)
            while not leaving.done():
                await asyncio.wait([leaving], timeout=_HEARTBEAT_SECONDS)
                if time.monotonic() - reader.wrote >= _HEARTBEAT_SECONDS / 2:
                    reader.offer(chunk(_HEARTBEAT) if reader.chunked else _HEARTBEAT)
        finally:
            hub.leave(self._selection, reader)

    async def _missed(self, hub: Hub) -> AsyncIterator[bytes]:
        """Yield what came since the reader left: from the log first, then what is kept."""
        begin = self._begin
        if begin is None:
            return
        if hub.is_ahead(begin) or count_messages(begin, hub.offsets) > MAX_MESSAGES:
            self._begin = None
            yield _reset()
            return
        if not hub.is_kept(begin):
            begin_now = dict(hub.offsets)
            async for data in self._from_log(begin, begin_now):
                yield data
            begin = begin_now
        while hub.is_kept(begin):
            here, kept = dict(hub.offsets), list(hub.kept(begin, self._selection))
            if sum(map(len, kept)) <= _LATE_BYTES:
                self._begin = begin
                return
            for data in _joined(kept):
                yield data
            begin = here
        self._begin = None
        yield _reset()

    def _late(self, hub: Hub) -> bytes:
        """Return what came since the last write that was waited for."""
        if self._begin is None:
            return b""
        if not hub.is_kept(self._begin):
            return _reset()
        return b"".join(hub.kept(self._begin, self._selection))

    async def _from_log(
        self, begin: Mapping[Partition, int], end: Mapping[Partition, int]
    ) -> AsyncIterator[bytes]:
        """Yield events that are not kept: what they say of rows is what holds now."""
        gateway, offsets = self._gateway, dict(begin)
        async for message in gateway.replay.messages(begin, end):
            offsets[message.role, message.partition] = message.offset + 1
            cursor = gateway.hub.layout.encode(offsets)
            events = retell(gateway.board, message, now_ms())
            if data := blocks(events, cursor, self._selection):
                yield data


def _joined(blocks: list[bytes]) -> Iterator[bytes]:
    for first in range(0, len(blocks), _BLOCKS_A_WRITE):
        yield b"".join(blocks[first : first + _BLOCKS_A_WRITE])


def _reset() -> bytes:
    text = "too much was missed to send it again: load anew"
    return block(status({"state": "reset", "text": text}), None)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
