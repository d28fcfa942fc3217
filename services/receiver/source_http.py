"""Reading streams by HTTP, HTTPS and ICY: addresses, redirects, playlists, and then bytes.

Our own few lines of HTTP/1 instead of a library: they take ``ICY 200 OK``, hold no more than they
need, and decompress nothing.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final
from urllib.parse import urljoin, urlsplit

from services.receiver import icy
from services.receiver.addresses import HTTP_SCHEMES, check_address, scheme, without_secrets
from services.receiver.http_messages import (
    MAX_HEAD_BYTES,
    Dechunker,
    Head,
    parse_head,
    request_bytes,
)
from services.receiver.playlists import (
    MAX_PLAYLIST_BYTES,
    cheapest_variant,
    decode_playlist,
    parse_playlist,
    playlist_kind,
)
from services.receiver.reasons import SourceFailed, failed, status_reason

CONNECT_SECONDS: Final = 8.0
#: From the request to the end of the answer's head, however slowly it comes.
HEAD_SECONDS: Final = 8.0
_PLAYLIST_SECONDS: Final = 15.0
#: A playlist or a segment of HLS, from the connection to its last byte.
FETCH_SECONDS: Final = 20.0
_MAX_HOPS: Final = 8
_READ_BYTES: Final = 32 * 1024
#: What a body is recognised by.
_START_BYTES: Final = 4096


def default_user_agent() -> str:
    """Return how we call ourselves."""
    return f"genrestream/{version('genrestream')}"


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for.

    Attributes
    ----------
    url
        The address.
    headers
        That are sent to the host of the address, and to no other that it redirects to.
    user_agent
        How we call ourselves.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    user_agent: str = field(default_factory=default_user_agent)


@dataclass
class Stream:
    """An open stream.

    Attributes
    ----------
    url
        Where it was found in the end.
    head
        Of the answer.
    hops
        Addresses that led there, without secrets.
    start
        The first bytes of sound.
    hls_url
        Where it is a playlist of HLS: that of the cheapest variant.
    received
        Bytes so far.
    """

    url: str
    head: Head
    hops: tuple[str, ...]
    start: bytes
    reader: asyncio.StreamReader
    hls_url: str | None = None
    received: int = 0
    titles: list[str] = field(default_factory=list)
    _demultiplexer: icy.Demultiplexer = field(default_factory=lambda: icy.Demultiplexer(None))
    _dechunker: Dechunker | None = None
    _left: int | None = None

    async def read(self) -> bytes:
        """Return the next bytes of sound, empty at the end; titles on the way go to `titles`.

        Raises
        ------
        SourceFailed
            The connection broke.
        """
        while True:
            if self.start:
                sound, self.start = self.start, b""
                return sound
            if self._left == 0 or (self._dechunker and self._dechunker.ended):
                return b""
            data = await _read_some(self.reader)
            if not data:
                return b""
            sound = self._take(data)
            if sound:
                return sound

    def _take(self, data: bytes) -> bytes:
        self.received += len(data)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        body = self._dechunker.feed(data) if self._dechunker else data
        sound, titles = self._demultiplexer.feed(body)
        self.titles += titles
        return sound

    async def read_start(self, count: int) -> None:
        """Read until `start` holds so many bytes, or the body ends."""
        parts = bytearray()
        while len(parts) < count:
            data = await self.read()
            if not data:
                break
            parts += data
        self.start = bytes(parts)

    async def read_whole(self, limit: int = MAX_PLAYLIST_BYTES) -> bytes:
        """Return a body that is a playlist, or a part of one.

        Raises
        ------
        SourceFailed
            It has more bytes than the limit.
        """
        body = bytearray()
        while data := await self.read():
            body += data
            if len(body) > limit:
                raise failed("bad-playlist", f"it, or a part of it, has more than {limit} bytes")
        return bytes(body)


@asynccontextmanager
async def open_stream(request: Request) -> AsyncIterator[Stream]:
    """Find the stream that an address leads to, by redirects and playlists; close it at the end.

    Raises
    ------
    SourceFailed
        There is none.
    """
    url, hops, cookies = request.url, list[str](), dict[str, tuple[str, ...]]()
    for _ in range(_MAX_HOPS):
        stream, writer = await _ask(request, url, tuple(hops), cookies)
        try:
            following = await _following(stream)
            if following is None:
                yield stream
                return
        finally:
            _close(writer)
        _check_next(following)
        hops.append(without_secrets(url))
        url = following
    raise failed("redirect-loop", f"{_MAX_HOPS} times")


async def fetch(request: Request, url: str, limit: int, span: tuple[int, int] | None) -> bytes:
    """Return the body at an address that a server named, through redirects.

    Parameters
    ----------
    request
        Whose headers are sent, to its own host.
    url
        The address.
    limit
        Bytes at most.
    span
        First byte and number of bytes; the whole body without.

    Raises
    ------
    SourceFailed
        It does not come.
    """
    cookies = dict[str, tuple[str, ...]]()
    wanted = {"Range": f"bytes={span[0]}-{sum(span) - 1}"} if span else {}
    for _ in range(_MAX_HOPS):
        _check_next(url)
        async with _limit(FETCH_SECONDS):
            stream, writer = await _ask(request, url, (), cookies, wanted)
            try:
                if not stream.head.redirects:
                    body = await _body(stream, limit + (span[0] if span else 0))
                    is_part = stream.head.status == 206 or not span
                    return body if is_part or not span else body[span[0] : sum(span)]
            finally:
                _close(writer)
        url = urljoin(url, stream.head.get("location"))
    raise failed("redirect-loop", f"{_MAX_HOPS} times")


async def _body(stream: Stream, limit: int) -> bytes:
    if stream.head.status not in (200, 206):
        raise SourceFailed(status_reason(stream.head.status))
    encoding = stream.head.get("content-encoding").lower()
    if encoding not in ("", "identity"):
        raise failed("bad-answer", f"it is compressed as {encoding[:20]!r}, unasked")
    if stream.start:
        raw, stream.start = stream.start, b""
        stream.start = stream._take(raw)
    body = await stream.read_whole(limit)
    if stream._left:
        raise failed("connection-lost", "in the midst of a part")
    return body


def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection without waiting for a peer that may never answer."""
    writer.transport.abort()


def _check_next(url: str) -> None:
    try:
        check_address(url, local=False)
    except ValueError as error:
        raise failed("bad-url", f"the server names another one: {error}") from error
    if scheme(url) not in HTTP_SCHEMES:
        raise failed("bad-url", f"the server names one of {scheme(url)}:")


async def _following(stream: Stream) -> str | None:
    """Return the address that an answer names instead; ``None`` where it is the stream."""
    if stream.head.redirects:
        return urljoin(stream.url, stream.head.get("location"))
    if stream.head.status not in (200, 206):
        raise SourceFailed(status_reason(stream.head.status))
    encoding = stream.head.get("content-encoding").lower()
    if encoding not in ("", "identity"):
        raise failed("bad-answer", f"it is compressed as {encoding[:20]!r}, unasked")
    _split_titles(stream)
    async with _limit(_PLAYLIST_SECONDS):
        return await _follow_playlist(stream)


def _split_titles(stream: Stream) -> None:
    try:
        every = icy.interval(stream.head.fields.get("icy-metaint"))
    except ValueError as error:
        raise failed("bad-answer", str(error)) from error
    stream._demultiplexer = icy.Demultiplexer(every)
    if stream.start:
        raw, stream.start = stream.start, b""
        stream.start = stream._take(raw)


async def _follow_playlist(stream: Stream) -> str | None:
    await stream.read_start(_START_BYTES)
    kind = playlist_kind(stream.start, stream.head.get("content-type"))
    if kind is None:
        return None
    text = decode_playlist(await stream.read_whole())
    if kind != "hls" and "#EXT-X-" in text:
        kind = "hls"
    if kind == "hls":
        stream.hls_url = cheapest_variant(text, stream.url) or stream.url
        _check_next(stream.hls_url)
        return None
    for entry in parse_playlist(text, kind):
        return urljoin(stream.url, entry.url)
    raise failed("bad-playlist")


async def _ask(
    request: Request,
    url: str,
    hops: tuple[str, ...],
    cookies: dict[str, tuple[str, ...]],
    more: dict[str, str] | None = None,
) -> tuple[Stream, asyncio.StreamWriter]:
    reader, writer = await _connect(url)
    try:
        host = urlsplit(url).hostname or ""
        same = host == urlsplit(request.url).hostname
        headers = {**(request.headers if same else {}), **(more or {})}
        writer.write(request_bytes(url, headers, request.user_agent, cookies.get(host, ())))
        async with _limit(HEAD_SECONDS):
            head, rest = await _read_head(reader)
    except BaseException:
        _close(writer)
        raise
    cookies[host] = (*cookies.get(host, ()), *head.cookies)[-20:]
    stream = Stream(url, head, hops, rest, reader)
    if head.get("transfer-encoding").lower() == "chunked":
        stream._dechunker = Dechunker()
    elif head.get("content-length").isdecimal():
        stream._left = int(head.get("content-length")[:18])
    return stream, writer


@asynccontextmanager
async def _limit(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise failed("timeout", f"nothing for {seconds:g} s") from error


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    try:
        async with _limit(CONNECT_SECONDS):
            return await asyncio.open_connection(
                parts.hostname,
                port,
                limit=_READ_BYTES,
                ssl=_tls_context() if secure else None,
            )
    except socket.gaierror as error:
        raise failed("dns", parts.hostname or "") from error
    except ssl.SSLError as error:
        raise failed("tls", getattr(error, "verify_message", "") or "no handshake") from error
    except ConnectionRefusedError as error:
        raise failed("connection-refused") from error
    except (OSError, ValueError) as error:
        raise failed("connection-lost", getattr(error, "strerror", "") or "") from error


_context: ssl.SSLContext | None = None


def _tls_context() -> ssl.SSLContext:
    global _context
    if _context is None:  # reading the system's authorities takes 20 ms
        _context = ssl.create_default_context()
    return _context


async def _read_head(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    data = bytearray()
    while True:
        part = await _read_some(reader)
        if not part:
            raise failed(
                "bad-answer" if data else "connection-lost", "it ends before its head does"
            )
        data += part
        end, width = _head_end(data)
        if end >= 0:
            return parse_head(bytes(data[:end])), bytes(data[end + width :])
        if len(data) > MAX_HEAD_BYTES:
            raise failed("bad-answer", f"its head has more than {MAX_HEAD_BYTES} bytes")
        if len(data) >= 8 and not data.startswith((b"HTTP/", b"ICY ")):
            raise failed("bad-answer", f"it begins with {bytes(data[:16])!r}")


def _head_end(data: bytearray) -> tuple[int, int]:
    found = [(data.find(mark), len(mark)) for mark in (b"\r\n\r\n", b"\n\n")]
    present = [(place, width) for place, width in found if place >= 0]
    return min(present) if present else (-1, 0)


async def _read_some(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_READ_BYTES)
    except ssl.SSLError as error:
        raise failed("tls", "broken off") from error
    except OSError as error:
        raise failed("connection-lost", error.strerror or "") from error
