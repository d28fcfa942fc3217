"""Faults of servers and decoders, each in its short form."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from features.formats.ffmpeg import ffmpeg_path
from services.receiver import source_http
from services.receiver.receiver import Receiver
from tests.receiver.servers import Ear, RadioServer, listening

pytestmark = pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg")

#: How bytes that are no audio are found out.
GARBAGE = {"unknown-codec", "no-audio", "decoder-died"}

Fault = Callable[[RadioServer, Receiver], Awaitable[None]]


async def _kill_and_start(server: RadioServer, _: Receiver) -> None:
    await server.kill()
    await asyncio.sleep(3.0)
    await server.start()


async def _pause(server: RadioServer, _: Receiver) -> None:
    server.paused = True
    await asyncio.sleep(9.0)
    server.paused = False


async def _answer_with(server: RadioServer, status: bytes) -> None:
    good, server.head = server.head, b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    await server.kill()
    await server.start()
    await asyncio.sleep(3.0)
    server.head = good


async def _unavailable(server: RadioServer, _: Receiver) -> None:
    await _answer_with(server, b"503 Service Unavailable")


async def _not_found(server: RadioServer, _: Receiver) -> None:
    await _answer_with(server, b"404 Not Found")


async def _garbage(server: RadioServer, receiver: Receiver) -> None:
    server.garbage = True
    await asyncio.sleep(4.0)
    server.garbage = False


async def _other_codec(server: RadioServer, _: Receiver) -> None:
    server.codec = "aac"
    await asyncio.sleep(0.0)


async def _decoder_killed(_: RadioServer, receiver: Receiver) -> None:
    assert receiver.source
    assert receiver.source.decoder
    os.kill(receiver.source.decoder.process.pid, signal.SIGKILL)
    await asyncio.sleep(0.0)


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        (_kill_and_start, {"connection-lost", "ended"}),
        pytest.param(_pause, {"no-audio"}, marks=pytest.mark.radio),
        pytest.param(_unavailable, {"connection-lost", "ended"}, marks=pytest.mark.radio),
        pytest.param(_not_found, {"connection-lost", "ended"}, marks=pytest.mark.radio),
        pytest.param(_garbage, GARBAGE, marks=pytest.mark.radio),
        pytest.param(_other_codec, GARBAGE, marks=pytest.mark.radio),
        (_decoder_killed, {"decoder-died"}),
    ],
)
def test_audio_flows_again_after_a_fault(fault: Fault, reasons: set[str]) -> None:
    async def work() -> Ear:
        server = RadioServer()
        await server.start()
        async with listening(server.url) as (ear, receiver):
            await ear.until(lambda: len(ear.chunks) >= 2)
            await fault(server, receiver)
            await ear.until(lambda: ear.kinds().count("connected") >= 2)
            count = len(ear.chunks)
            await ear.until(lambda: len(ear.chunks) > count)
        await server.kill()
        return ear

    ear = asyncio.run(work())
    assert ear.kinds() == ["connected", "lost", "connected"]
    assert ear.events[1].reason in reasons
    numbers = [chunk.sequence or 0 for chunk in ear.chunks]
    assert all(a < b for a, b in pairwise(numbers))
    missing = ear.events[2].missing_seconds or 0.0
    skipped = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert abs(3.0 * skipped - missing) <= 3.0
    times = [chunk.captured_at or 0 for chunk in ear.chunks]
    assert all(a < b for a, b in pairwise(times))


def _failure_of(head: bytes, body: bytes = b"", *, stays: bool = False) -> str:
    """Return the reason why an answer is not listened to; the connection may stay after it."""

    async def work() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + body)
            if stays:
                await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with listening(f"http://user:s3cret@127.0.0.1:{port}/?token=s3cret") as (ear, _):
            await ear.until(lambda: bool(ear.events))
        server.close()
        (event, *_) = ear.events
        assert "s3cret" not in repr(ear.events)
        return event.reason or ""

    return asyncio.run(work())


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("head", "body", "code"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", b"", "bad-url"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b"", "redirect-loop"),
        (OK + b"X-A: b\r\n" * 20_000, b"", "bad-answer"),
        (OK + b"icy-metaint: 1\r\n\r\n", b"x" * 5000, "bad-answer"),
        (OK + b"icy-metaint: 2147483648\r\n\r\n", b"x" * 5000, "bad-answer"),
        (OK + b"Content-Encoding: gzip\r\n\r\n", b"\x1f\x8b" * 5000, "bad-answer"),
        (OK + b"\r\n", b"[playlist]\nFile1=/\n", "redirect-loop"),
        (OK + b"\r\n", b"[playlist]\nFile1=file:///etc/passwd\n", "bad-url"),
        (OK + b"\r\n", b"[playlist]\n", "bad-playlist"),
        (OK + b"\r\n", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + b"a.ts\n" * 300_000, "bad-playlist"),
        (OK + b"\r\n", b"<html>" * 2000, "unknown-codec"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", b"", "bad-answer"),
        (b"HTTP/1.1 401 No\r\n\r\n", b"", "unauthorized"),
        (b"HTTP/1.1 410 Gone\r\n\r\n", b"", "gone"),
    ],
)
def test_a_hostile_or_wrong_answer_has_a_clear_reason(head: bytes, body: bytes, code: str) -> None:
    assert _failure_of(head, body) == code


@pytest.mark.parametrize("body", [b"", bytes(35)], ids=["nothing", "a few bytes"])
def test_an_encoder_that_is_silent_is_not_taken_for_the_network(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_http, "_PLAYLIST_SECONDS", 0.3)
    assert _failure_of(OK + b"Content-Type: audio/mpeg\r\n\r\n", body, stays=True) == "no-audio"


@pytest.mark.parametrize("size", [20, 5000], ids=["its start", "more of it"])
def test_a_list_that_does_not_end_is_one_of_the_network(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_http, "_PLAYLIST_SECONDS", 0.3)
    part = b"#EXTM3U\n".ljust(size, b"#")
    assert _failure_of(OK + b"Content-Type: audio/mpeg\r\n\r\n", part, stays=True) == "timeout"


@pytest.mark.radio
def test_a_fast_server_is_read_as_it_plays() -> None:
    async def work() -> tuple[Ear, float]:
        server = RadioServer(speed=10.0)
        await server.start()
        async with listening(server.url) as (ear, receiver):
            await ear.until(lambda: bool(ear.chunks))
            await asyncio.sleep(8.0)
            seconds = receiver.figures.audio_seconds
        await server.kill()
        return ear, seconds

    ear, seconds = asyncio.run(work())
    assert seconds < 10.0 + 9.5 + 2.0
    assert ear.kinds() == ["connected"]


@pytest.mark.radio
def test_a_slow_server_is_lost_once() -> None:
    async def work() -> Ear:
        server = RadioServer()
        await server.start()
        async with listening(server.url) as (ear, _):
            await ear.until(lambda: len(ear.chunks) >= 2)
            server.speed = 0.1
            await asyncio.sleep(40.0)
        await server.kill()
        return ear

    ear = asyncio.run(work())
    assert ear.kinds() == ["connected", "lost"]
