"""A radio that is on air: what it sends says when it was sent, however often it is cut off."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from services.kafka.embedded_broker import free_port
from tests.receiver.servers import BYTES_A_SECOND, SECONDS_OF_SOUND

DOMAIN: Final = "radio.test"
_STEP_SECONDS: Final = 0.1
_GOOD: Final = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"
_CODECS: Final = {
    "mp3": ("-f", "mp3"),
    "mp3-48": ("-ar", "48000", "-f", "mp3"),
    "aac": ("-c:a", "aac", "-f", "adts"),
}


@cache
def programme(codec: str = "mp3") -> bytes:
    """Return a minute of noise at 128 kbit/s, which is sent over and over."""
    source = f"anoisesrc=d={SECONDS_OF_SOUND}:a=0.2:seed=1"
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, "-b:a", "128k"]
    return subprocess.run(
        [*command, *_CODECS[codec], "pipe:1"], check=True, capture_output=True
    ).stdout


@dataclass
class LiveServer:
    """One station's server; its attributes are what goes wrong at the moment.

    Attributes
    ----------
    began
        When byte 0 of the programme was on air, in seconds since 1970.
    burst
        Seconds of the past that a new listener gets at once.
    answering
        Whether requests are answered, and bytes sent.
    speed
        Of the bytes, beside real time.
    """

    name: str
    certificates: "Certificates | None" = None
    burst: float = 0.0
    port: int = field(default_factory=free_port)
    began: float = field(default_factory=time.time)
    answering: bool = True
    speed: float = 1.0
    garbage: bool = False
    codec: str = "mp3"
    head: bytes = _GOOD
    expired: bool = False
    connections: int = 0
    _server: Any = None
    _plug: list[socket.socket] = field(default_factory=list)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _silenced: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificates else ''}://{self.name}.{DOMAIN}:{self.port}/live"

    async def start(self) -> None:
        """Listen; all that may be played is encoded before."""
        for codec in _CODECS:
            await asyncio.to_thread(programme, codec)
        for one in self._plug:
            one.close()
        self._plug.clear()
        context = self.certificates.context(self.expired) if self.certificates else None
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context, backlog=20
        )

    def close(self) -> None:
        """Listen no more; connections stand."""
        self._server.close()

    def drop(self) -> None:
        """Reset all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    def silence(self) -> None:
        """Send nothing more to who listens now, and do not tell."""
        self._silenced |= self._writers

    def plug(self) -> None:
        """Let the kernel drop every SYN: the queue of a socket that nobody serves is full."""
        full = socket.socket()
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", self.port))
        full.listen(0)
        self._plug = [full]
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self._plug.append(one)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            while not self.answering:
                await asyncio.sleep(_STEP_SECONDS)
            writer.write(self.head)
            if self.head is _GOOD:
                await self._play(writer)
        self._writers.discard(writer)
        self._silenced.discard(writer)
        writer.close()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        noise, last = Random(0), time.time()
        place = last - self.began - self.burst
        while not writer.is_closing():
            now = time.time()
            if self.answering and writer not in self._silenced:
                end = now - self.began if self.speed == 1.0 else place + self.speed * (now - last)
                writer.write(self._bytes(place, max(place, end), noise))
                place = max(place, end)
                await writer.drain()
            last = now
            await asyncio.sleep(_STEP_SECONDS)

    def _bytes(self, begin: float, end: float, noise: Random) -> bytes:
        data = programme(self.codec)
        first, last = (round(second * BYTES_A_SECOND) for second in (begin, end))
        if self.garbage:
            return noise.randbytes(last - first)
        first, count = first % len(data), last - first
        return (data[first:] + data * (1 + count // len(data)))[:count]


class Certificates:
    """An authority of our own, a certificate of all stations, and one that has expired."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "ca.pem"
        self._folder = folder
        key = ("-newkey", "rsa:2048", "-nodes", "-subj")
        self._run("req", "-x509", *key, "/CN=Tests", "-keyout", "ca.key", "-out", "ca.pem")
        names = ("-addext", f"subjectAltName=DNS:*.{DOMAIN}")
        self._run("req", *key, "/CN=s", *names, "-keyout", "key.pem", "-out", "request.pem")
        ours = ("-CA", "ca.pem", "-CAkey", "ca.key", "-copy_extensions", "copyall")
        for days, name in (("2", "good"), ("0", "expired")):
            self._run(
                *("x509", "-req", "-in", "request.pem", *ours, "-days", days),
                *("-out", f"{name}.pem"),
            )

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)

    def context(self, expired: bool) -> ssl.SSLContext:
        """Return what a server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        name = "expired" if expired else "good"
        context.load_cert_chain(self._folder / f"{name}.pem", self._folder / "key.pem")
        return context


def has_openssl() -> bool:
    """Tell whether certificates can be made."""
    return shutil.which("openssl") is not None
