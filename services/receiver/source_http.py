"""Reading streams by HTTP, HTTPS and ICY: addresses, redirects, playlists, and then bytes.

Our own few lines of HTTP/1 instead of a library: they take ``ICY 200 OK``, hold no more than they
need, and decompress nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final
from urllib.parse import urljoin, urlsplit

from services.receiver import icy
from services.receiver.addresses import HTTP_SCHEMES, check_address, scheme, without_secrets
from services.receiver.http_connection import connect, limited, read_head, read_some
from services.receiver.http_messages import Dechunker, Head, request_bytes
from services.receiver.playlists import (
    MAX_PLAYLIST_BYTES,
    PlaylistKind,
    cheapest_variant,
    decode_playlist,
    parse_playlist,
    playlist_kind,
)
from services.receiver.reasons import SourceFailed, failed, status_reason

#: From the request to the end of the answer's head, however slowly it comes.
HEAD_SECONDS: Final = 8.0
_PLAYLIST_SECONDS: Final = 15.0
#: A playlist or a segment of HLS, from the connection to its last byte.
FETCH_SECONDS: Final = 20.0
_MAX_HOPS: Final = 8
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
            data = await read_some(self.reader)
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
        """Read until `start` holds so many bytes, or the body ends, and keep what came."""
        parts = bytearray()
        try:
            while len(parts) < count and (data := await self.read()):
                parts += data
        finally:
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
        async with limited(FETCH_SECONDS):
            stream, writer = await _ask(request, url, (), cookies, wanted)
            try:
                if not stream.head.redirects:
                    return await _body(stream, limit, span)
            finally:
                _close(writer)
        url = urljoin(url, stream.head.get("location"))
    raise failed("redirect-loop", f"{_MAX_HOPS} times")


async def _body(stream: Stream, limit: int, span: tuple[int, int] | None) -> bytes:
    if stream.head.status not in (200, 206):
        raise SourceFailed(status_reason(stream.head.status))
    encoding = stream.head.get("content-encoding").lower()
    if encoding not in ("", "identity"):
        raise failed("bad-answer", f"it is compressed as {encoding[:20]!r}, unasked")
    if stream.start:
        raw, stream.start = stream.start, b""
        stream.start = stream._take(raw)
    if span and stream.head.status == 200:
        return await _cut_out(stream, limit, *span)
    body = await stream.read_whole(limit)
    if stream._left:
        raise failed("connection-lost", "in the midst of a part")
    return body


async def _cut_out(stream: Stream, limit: int, first: int, count: int) -> bytes:
    """Take a part out of a body that came whole; what is before it is not kept."""
    if count > limit:
        raise failed("bad-playlist", f"a part of it has {count} bytes, more than {limit}")
    while first > 0 and (data := await stream.read()):
        stream.start = data[first:]
        first -= len(data)
    await stream.read_start(count)
    return stream.start[:count]


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
    kind = await _read_kind(stream)
    if kind is None:
        return None
    async with limited(_PLAYLIST_SECONDS):
        return await _follow_playlist(stream, kind)


async def _read_kind(stream: Stream) -> PlaylistKind | None:
    """Read the start of a body, and tell which kind of list it is.

    Raises
    ------
    SourceFailed
        It does not come: ``timeout`` for a list, ``no-audio`` for all else.
    """
    content_type = stream.head.get("content-type")
    try:
        async with limited(_PLAYLIST_SECONDS):
            await stream.read_start(_START_BYTES)
    except SourceFailed as error:
        if error.reason.code != "timeout" or playlist_kind(stream.start, content_type):
            raise
        raise failed("no-audio", f"for {_PLAYLIST_SECONDS:g} s") from error
    return playlist_kind(stream.start, content_type)


def _split_titles(stream: Stream) -> None:
    try:
        every = icy.interval(stream.head.fields.get("icy-metaint"))
    except ValueError as error:
        raise failed("bad-answer", str(error)) from error
    stream._demultiplexer = icy.Demultiplexer(every)
    if stream.start:
        raw, stream.start = stream.start, b""
        stream.start = stream._take(raw)


async def _follow_playlist(stream: Stream, kind: PlaylistKind) -> str | None:
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
    reader, writer = await connect(url)
    try:
        host = urlsplit(url).hostname or ""
        same = host == urlsplit(request.url).hostname
        headers = {**(request.headers if same else {}), **(more or {})}
        writer.write(request_bytes(url, headers, request.user_agent, cookies.get(host, ())))
        async with limited(HEAD_SECONDS):
            head, rest = await read_head(reader)
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
