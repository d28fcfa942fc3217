"""What a station plays, as PCM: the bytes of a server or a command through a decoder, or ffmpeg."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from schemas import Station
from services.receiver.addresses import EXEC_SCHEME, HTTP_SCHEMES, check_address, scheme
from services.receiver.containers import START_BYTES, Container, recognise
from services.receiver.decoder import (
    Decoder,
    address_arguments,
    pipe_arguments,
    start_decoder,
    start_process,
)
from services.receiver.ogg_links import LinkSplitter, Piece
from services.receiver.reasons import ReasonCode, SourceFailed, failed
from services.receiver.source_hls import Hls
from services.receiver.source_http import Request, Stream, default_user_agent, open_stream


class Bytes(Protocol):
    """Where bytes come from."""

    async def read(self) -> bytes:
        """Return the next, empty at the end."""


@dataclass
class Found:
    """What was found out about a source while it was opened.

    Attributes
    ----------
    container
        Name of container and codec.
    sound
        Rate and channels, as the server or the bytes say.
    server, name
        As the server calls its program and the station.
    bit_rate
        In kbit/s, as the server says.
    hops
        Addresses on the way, without secrets.
    received
        Bytes so far.
    """

    container: str = ""
    sound: str = ""
    server: str = ""
    name: str = ""
    bit_rate: str = ""
    hops: tuple[str, ...] = ()
    received: int = 0


@dataclass
class Source:
    """An open source: `read` gives PCM, titles go to a function.

    Attributes
    ----------
    found
        What is known about it.
    decoder
        The process that decodes at the moment.
    """

    found: Found
    tell_title: Callable[[str], None]
    decoder: Decoder | None = None
    _output: asyncio.Queue[bytes | SourceFailed] = field(
        default_factory=lambda: asyncio.Queue(maxsize=4)
    )

    async def read(self) -> bytes:
        """Return the next samples, mono 16-bit little-endian at 22,050 Hz.

        Raises
        ------
        SourceFailed
            Nothing more comes; the reason says why.
        """
        item = await self._output.get()
        if isinstance(item, SourceFailed):
            raise item
        return item

    async def put(self, item: bytes | SourceFailed) -> None:
        """Hand on samples, or the end."""
        await self._output.put(item)


@asynccontextmanager
async def open_source(
    station: Station, tell_title: Callable[[str], None], *, local: bool = False
) -> AsyncIterator[Source]:
    """Open what a station plays; everything is closed and reaped at the end.

    Parameters
    ----------
    station
        The station.
    tell_title
        Takes the titles.
    local
        Whether it may be a command or a sound card.

    Raises
    ------
    SourceFailed
        It cannot be opened.
    """
    _check(station.url, local=local)
    source = Source(Found(), tell_title)
    async with AsyncExitStack() as resources:
        run = await _open(station, source, resources)
        task = asyncio.create_task(_guard(run, source))
        resources.push_async_callback(_cancel, task)
        yield source


def _check(url: str, *, local: bool) -> None:
    try:
        check_address(url, local=local)
    except ValueError as error:
        raise failed("bad-url", str(error)) from error


Run = Callable[[], Coroutine[Any, Any, None]]


async def _open(station: Station, source: Source, resources: AsyncExitStack) -> Run:
    kind = scheme(station.url)
    user_agent = station.user_agent or default_user_agent()
    if kind == EXEC_SCHEME:
        process = await start_process(shlex.split(station.url.partition(":")[2]), limited=False)
        resources.push_async_callback(process.close)
        process.end_input()
        source.found = Found("a command's output")
        start = await _read_start(process)
        container = _recognise(start, "")
        return lambda: _decode_bytes(_Continued(process, start), container, source, list)
    if kind not in HTTP_SCHEMES:
        return lambda: _decode_address(station.url, user_agent, source)
    request = Request(station.url, station.headers, user_agent)
    stream = await resources.enter_async_context(open_stream(request))
    source.found = _describe(stream)
    if stream.hls_url:
        return await _open_hls(Hls(request, stream.hls_url), source)
    container = _recognise(stream.start, stream.head.get("content-type"))
    source.found.container = container.name
    return lambda: _decode_bytes(stream, container, source, lambda: _take_titles(stream, source))


async def _open_hls(stream: Hls, source: Source) -> Run:
    method = await stream.open()
    if method:  # ffmpeg fetches the key; without our headers, which would be on its command line
        source.found.container = f"HLS, encrypted by {method}"
        return lambda: _decode_address(stream.url, stream.request.user_agent, source)
    start = await stream.read()
    container = _recognise(start, "")
    source.found.container = f"HLS of {container.name}"
    stream.feed(b"")
    take = lambda: _take_titles(stream, source)  # noqa: E731
    return lambda: _decode_bytes(_Continued(stream, start), container, source, take, stream)


def _describe(stream: Stream) -> Found:
    head = stream.head
    return Found(
        server=head.get("server") or head.get("icy-notice2"),
        name=head.get("icy-name"),
        bit_rate=head.get("icy-br").partition(",")[0],
        hops=stream.hops,
    )


def _recognise(start: bytes, content_type: str) -> Container:
    container = recognise(start[:START_BYTES], content_type)
    if container is None:
        kind = content_type.partition(";")[0].strip()[:60]
        raise failed("unknown-codec", f"it is called {kind}" if kind else "")
    return container


async def _read_start(process: Bytes) -> bytes:
    parts = bytearray()
    while len(parts) < START_BYTES and (data := await process.read()):
        parts += data
    return bytes(parts)


@dataclass
class _Continued:
    """Bytes whose start was read already."""

    source: Bytes
    start: bytes

    async def read(self) -> bytes:
        start, self.start = self.start, b""
        return start or await self.source.read()


def _take_titles(stream: Stream | Hls, source: Source) -> list[str]:
    source.found.received = stream.received
    titles, stream.titles = stream.titles, []
    return titles


async def _guard(run: Run, source: Source) -> None:
    """Decode to the end, which is always a reason."""
    try:
        await run()
        end = failed("ended")
    except SourceFailed as error:
        end = error
    await source.put(end)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _decode_address(url: str, user_agent: str, source: Source) -> None:
    arguments, script = address_arguments(url, user_agent)
    decoder = source.decoder = await start_decoder(arguments)
    try:
        await decoder.write(script)
        decoder.end_input()
        await _pump(decoder, source)
        await decoder.settle()
        if decoder.complaint():
            raise failed(reason_of_complaint("\n".join(decoder.faults())), decoder.complaint())
    finally:
        await decoder.close()


#: What ffmpeg says of an address that it cannot read, and the code of it.
_COMPLAINTS: Final[tuple[tuple[str, ReasonCode], ...]] = (
    ("401 Unauthorized", "unauthorized"),
    ("403 Forbidden", "forbidden"),
    ("404 Not Found", "not-found"),
    ("Server returned 5", "server-error"),
    ("Connection refused", "connection-refused"),
    ("Failed to resolve", "dns"),
    ("Name or service not known", "dns"),
    ("timed out", "timeout"),
    ("not on whitelist", "bad-url"),
    ("Invalid data found", "unknown-codec"),
    ("matches no streams", "unknown-codec"),
)


def reason_of_complaint(complaint: str) -> ReasonCode:
    """Return the code of what ffmpeg says at its end.

    >>> reason_of_complaint("Server returned 404 Not Found")
    'not-found'
    """
    return next((code for text, code in _COMPLAINTS if text in complaint), "decoder-died")


async def _pump(decoder: Decoder, source: Source) -> bool:
    """Hand on what a decoder gives until its end; tell whether anything came."""
    any_came = False
    while samples := await decoder.read():
        any_came = True
        source.found.sound = decoder.sound
        decoder._allow_processor_time()
        await source.put(samples)
    return any_came


class Splitter(Protocol):
    """Says where in some bytes a decoder of its own is needed."""

    def feed(self, data: bytes) -> list[Piece]:
        """Return the pieces."""

    def take_title(self) -> str | None:
        """Return a title that stood between them."""


async def _decode_bytes(
    stream: Bytes,
    container: Container,
    source: Source,
    take_titles: Callable[[], list[str]],
    splitter: Splitter | None = None,
) -> None:
    """Decode bytes; a chain of Ogg streams by one decoder after the other."""
    splitter = LinkSplitter() if container.is_ogg else splitter
    feed = _Feed(stream, splitter, source, take_titles)
    arguments = pipe_arguments(container)
    while not feed.ended:
        decoder = source.decoder = await start_decoder(arguments)
        try:
            feeding = asyncio.create_task(feed.run(decoder))
            try:
                came = await _pump(decoder, source)
                if not feeding.done():
                    await decoder.settle()
                    raise failed("decoder-died" if came else "unknown-codec", decoder.complaint())
                await feeding
            finally:
                await _cancel(feeding)
        finally:
            await decoder.close()


@dataclass
class _Feed:
    """Feeds a decoder until its link or the stream ends."""

    stream: Bytes
    splitter: Splitter | None
    source: Source
    take_titles: Callable[[], list[str]]
    ended: bool = False
    _waiting: list[Piece] = field(default_factory=list)

    async def run(self, decoder: Decoder) -> None:
        first = True
        try:
            while True:
                piece = await self._next()
                if piece is None:
                    self.ended = True
                    return
                if piece.begins and not first:
                    self._waiting.insert(0, piece)
                    return
                first = False
                await decoder.write(piece.data)
                if piece.ends:
                    return
        finally:
            decoder.end_input()

    async def _next(self) -> Piece | None:
        while not self._waiting:
            data = await self.stream.read()
            for title in self.take_titles():
                self.source.tell_title(title)
            if not data:
                return None
            self._waiting += self.splitter.feed(data) if self.splitter else [Piece(data)]
            comment = self.splitter.take_title() if self.splitter else None
            if comment:
                self.source.tell_title(comment)
        return self._waiting.pop(0)
