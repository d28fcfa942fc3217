"""Servers that mean harm: a clear reason, bounded memory, and other stations go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from features.formats.ffmpeg import ffmpeg_path
from schemas import StationEvent
from services.receiver.decoder import resident_bytes
from tests.broker.shell import children
from tests.radio.live_server import LiveServer
from tests.receiver.servers import Ear, listening, sound

pytestmark = [
    pytest.mark.radio,
    pytest.mark.timeout(600),
    pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg"),
]

#: What a hostile station may cost this process and its decoder together.
MEMORY_BYTES = 256 * 1024**2
#: Other stations' bytes may wait for so long at most.
_LONGEST_PAUSE_SECONDS = 2.0
_DEADLINE_SECONDS = 45.0
_PLAYED_SECONDS = 10.0
_MEGABYTE = bytes(1024**2)

OK = b"HTTP/1.1 200 OK\r\n"
_LIST = OK + b"Content-Type: application/x-mpegurl\r\n\r\n#EXTM3U\n"
Body = Callable[[str], AsyncIterator[bytes]]


async def _endless(head: bytes, part: bytes) -> AsyncIterator[bytes]:
    yield head
    while True:
        yield part


async def _once(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _slowly(head: bytes, part: bytes) -> AsyncIterator[bytes]:
    yield head
    while True:
        await asyncio.sleep(0.2)
        yield part


def _titles(block: bytes) -> bytes:
    """Return sound whose every second kilobyte or so is a title, as long as ICY allows."""
    return sound()[:1024] + bytes([255]) + block.ljust(4080, b"x")


def _page(flags: int, body: bytes) -> bytes:
    segments = [255] * (len(body) // 255)
    head = b"OggS\0" + bytes([flags]) + bytes(20) + bytes([len(segments)]) + bytes(segments)
    return head + body[: 255 * len(segments)]


def _comment_without_end(path: str) -> AsyncIterator[bytes]:
    start = b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0".ljust(255, b"\0")
    comment = b"OpusTags" + (4).to_bytes(4, "little") + b"evil" + (1).to_bytes(4, "little")
    comment += (2**30).to_bytes(4, "little") + b"TITLE="
    head = OK + b"Content-Type: audio/ogg\r\n\r\n" + _page(2, start)
    return _endless(head + _page(0, comment.ljust(65025, b"x")), _page(1, b"x" * 65025) * 4)


def _tag_without_end(path: str) -> AsyncIterator[bytes]:
    """Send an ID3 tag that announces 256 MB of title."""
    return _endless(OK + b"\r\nID3\x04\0\0\x7f\x7f\x7f\x7fTIT2\x7f\x7f\x7f\x7f\0\0\0", b"x" * 65536)


def _variant(media: Callable[[str], AsyncIterator[bytes]]) -> Body:
    """Answer with a list of one variant, whose media playlist is a hostile one."""

    def answer(path: str) -> AsyncIterator[bytes]:
        if path != "/media":
            return _once(_LIST + b"#EXT-X-STREAM-INF:BANDWIDTH=1\n/media\n")
        return media(path)

    return answer


def _segments(lines: bytes, segment: Callable[[], AsyncIterator[bytes]] | None = None) -> Body:
    """Answer with a media playlist, and something for its segments."""

    def answer(path: str) -> AsyncIterator[bytes]:
        if segment and path.startswith("/segment"):
            return segment()
        return _once(_LIST + b"#EXT-X-TARGETDURATION:1\n" + lines)

    return answer


#: Name, answer, the reasons that are clear; `None` where it plays on as if nothing were.
HOSTILE: dict[str, tuple[Body, set[str] | None]] = {
    "a header without end": (lambda _: _endless(OK + b"X: ", b"x" * 65536), {"bad-answer"}),
    "headers without end": (lambda _: _endless(OK, b"X: y\r\n" * 9999), {"bad-answer"}),
    "titles of 4 KB each kilobyte": (
        lambda _: _endless(OK + b"icy-metaint: 1024\r\n\r\n", _titles(b"StreamTitle='x") * 16),
        None,
    ),
    "a comment of 1 GB": (_comment_without_end, {"unknown-codec", "no-audio", "decoder-died"}),
    "a tag of 256 MB": (_tag_without_end, {"unknown-codec", "no-audio", "decoder-died"}),
    "zeros as sound": (
        lambda _: _endless(OK + b"Content-Type: audio/mpeg\r\n\r\n", _MEGABYTE),
        {"unknown-codec", "no-audio", "decoder-died"},
    ),
    "gzip, unasked": (
        lambda _: _endless(OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b", _MEGABYTE),
        {"bad-answer"},
    ),
    "a chunk of 1 TB": (
        lambda _: _endless(OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000\r\n", _MEGABYTE),
        {"unknown-codec", "no-audio"},
    ),
    "a head that drips": (lambda _: _slowly(OK, b"X"), {"timeout"}),
    "a playlist that drips": (lambda _: _slowly(_LIST, b"#\n"), {"timeout"}),
    "a body that drips": (
        lambda _: _slowly(OK + b"Content-Type: audio/mpeg\r\n\r\n", b"\xff"),
        {"timeout", "no-audio"},
    ),
    "a segment that drips": (
        _segments(b"#EXTINF:1,\nsegment\n", lambda: _slowly(OK + b"\r\n", b"x")),
        {"timeout"},
    ),
    "a playlist without end": (lambda _: _endless(_LIST, b"http://a/\n" * 9999), {"bad-playlist"}),
    "a million segments": (_variant(_segments(b"a\n" * 10**6)), {"bad-playlist"}),
    "a variant that names itself": (
        _variant(lambda _: _once(_LIST + b"#EXT-X-STREAM-INF:BANDWIDTH=1\n/media\n")),
        {"bad-playlist", "bad-answer", "unknown-codec", "connection-lost"},
    ),
    "a playlist that names itself": (lambda p: _once(_LIST + p.encode()), {"redirect-loop"}),
    "a segment without end": (
        _segments(b"#EXTINF:1,\nsegment\n", lambda: _endless(OK + b"\r\n", _MEGABYTE)),
        {"bad-playlist"},
    ),
    "a part behind a terabyte": (
        _segments(
            b"#EXTINF:1,\n#EXT-X-BYTERANGE:1000@999999999999999\nsegment\n",
            lambda: _endless(OK + b"\r\n", _MEGABYTE),
        ),
        {"timeout"},
    ),
    "a compressed segment": (
        _segments(
            b"#EXTINF:1,\nsegment\n",
            lambda: _endless(OK + b"Content-Encoding: gzip\r\n\r\n", _MEGABYTE),
        ),
        {"bad-answer"},
    ),
    "segments of this machine": (_segments(b"#EXTINF:1,\nfile:///etc/passwd\n"), {"bad-url"}),
    "a header of this machine": (
        _segments(
            b'#EXT-X-MAP:URI="file:///etc/passwd"\n#EXTINF:1,\nsegment\n',
            lambda: _once(OK + b"\r\n" + sound()),
        ),
        {"bad-url"},
    ),
    "a key of this machine": (
        _segments(b'#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"\n#EXTINF:1,\nsegment\n'),
        {"unknown-codec", "decoder-died", "bad-url", "http-error", "ended"},
    ),
    "a redirect to this machine": (
        lambda _: _once(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"),
        {"bad-url"},
    ),
}


@dataclass
class _Watch:
    """Memory of this process and its decoders, and when the good station was heard."""

    before: int
    most: int = 0
    longest_pause: float = 0.0

    async def run(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            self.longest_pause = max(self.longest_pause, now - last)
            last = now
            self.most = max(self.most, _resident())


def _resident() -> int:
    me = int(Path("/proc/self").resolve().name)
    return resident_bytes(me) + sum(map(resident_bytes, children(me)))


@dataclass(frozen=True)
class _Met:
    """The first failure of a hostile station, or else its first event, and what it cost."""

    event: StationEvent | None
    watch: _Watch


@pytest.fixture(scope="module")
def met() -> dict[str, _Met]:
    """Meet all servers while a good station plays; the slow ones at once."""
    met, good = asyncio.run(_meet_all())
    assert good.kinds() == ["connected"]
    times = [chunk.captured_at or 0 for chunk in good.chunks[:-1]]
    assert len(times) > 10
    assert [b - a for a, b in pairwise(times)] == pytest.approx([3000] * (len(times) - 1), abs=100)
    return met


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_has_a_clear_reason_and_bounded_memory(
    name: str, met: dict[str, _Met]
) -> None:
    event, watch, reasons = met[name].event, met[name].watch, HOSTILE[name][1]
    if reasons is None:
        assert event is None or event.kind in ("connected", "title"), event
    else:
        assert event is not None
        assert event.reason in reasons, event
        assert "passwd" not in (event.message or "")
    assert watch.most - watch.before < MEMORY_BYTES
    assert watch.longest_pause < _LONGEST_PAUSE_SECONDS


async def _meet_all() -> tuple[dict[str, _Met], Ear]:
    good = LiveServer("good")
    await good.start()
    async with listening(f"http://127.0.0.1:{good.port}/live") as (ear, _):
        await ear.until(lambda: bool(ear.events))
        slow = [name for name in HOSTILE if "drips" in name]
        met = dict(
            zip(slow, await asyncio.gather(*(_meet(*HOSTILE[n]) for n in slow)), strict=True)
        )
        for name in HOSTILE.keys() - slow:
            met[name] = await _meet(*HOSTILE[name])
    good.close()
    good.drop()
    return met, ear


async def _meet(answer: Body, reasons: set[str] | None) -> _Met:
    """Listen to a hostile server until it is given up."""
    writers = list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, EOFError, asyncio.CancelledError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            async for part in answer(path):
                writer.write(part)
                await writer.drain()
        writer.close()

    hostile = await asyncio.start_server(serve, "127.0.0.1", 0)
    port, watch = hostile.sockets[0].getsockname()[1], _Watch(_resident())
    watching = asyncio.create_task(watch.run())
    async with listening(f"http://127.0.0.1:{port}/live") as (victim, _):
        with suppress(TimeoutError):
            seconds = _DEADLINE_SECONDS if reasons else _PLAYED_SECONDS
            await victim.until(lambda: bool(_failures(victim)), seconds)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    hostile.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.1)
    found = _failures(victim) or victim.events
    return _Met(found[0] if found else None, watch)


def _failures(ear: Ear) -> list[StationEvent]:
    return [event for event in ear.events if event.kind in ("lost", "refused")]
