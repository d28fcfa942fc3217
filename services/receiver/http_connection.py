"""Connections to HTTP and ICY servers, and the heads of their answers; everything has a limit."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from services.receiver.http_messages import MAX_HEAD_BYTES, Head, parse_head
from services.receiver.reasons import SourceFailed, failed

#: The kernel asks again after 1 and 3 s; a fresh attempt comes sooner than its fourth would.
CONNECT_SECONDS: Final = 4.0
_READ_BYTES: Final = 32 * 1024


@asynccontextmanager
async def limited(seconds: float) -> AsyncIterator[None]:
    """Let a block take so long at most.

    Raises
    ------
    SourceFailed
        It takes longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise failed("timeout", f"nothing for {seconds:g} s") from error


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the host of an address, by IPv6 where IPv4 leads nowhere.

    Raises
    ------
    SourceFailed
        Nothing answers there, or it is not whom we trust.
    """
    try:
        return await _connect(url, socket.AF_INET)
    except SourceFailed as first:
        if first.reason.code == "tls":
            raise
        try:
            return await _connect(url, socket.AF_INET6)
        except SourceFailed as second:
            raise (second if first.reason.code == "dns" else first) from None


async def _connect(
    url: str, family: socket.AddressFamily
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    context = _tls_context() if secure else None
    try:
        async with limited(CONNECT_SECONDS):
            return await asyncio.open_connection(
                parts.hostname, port, limit=_READ_BYTES, ssl=context, family=family
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


async def read_head(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    """Read the head of an answer; return it, and what came behind it.

    Raises
    ------
    SourceFailed
        It is none of HTTP or ICY, is too long, or ends.
    """
    data = bytearray()
    while True:
        part = await read_some(reader)
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


async def read_some(reader: asyncio.StreamReader) -> bytes:
    """Return the next bytes, empty at the end.

    Raises
    ------
    SourceFailed
        The connection broke.
    """
    try:
        return await reader.read(_READ_BYTES)
    except ssl.SSLError as error:
        raise failed("tls", "broken off") from error
    except OSError as error:
        raise failed("connection-lost", error.strerror or "") from error
