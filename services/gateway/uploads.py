"""Audio that comes over HTTP or a WebSocket, to ``audio.chunks``: a producer like any other."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from aiokafka.errors import KafkaError

from schemas import AudioChunk
from schemas.errors import AudioError
from services.gateway.decoding import decode_growing
from services.gateway.growing import GrowingFile, UploadEnded
from services.gateway.pcm import PcmCutter, PcmFormat, parse_content_type
from services.gateway.problems import Problem
from services.gateway.state import Gateway
from services.kafka.clients import send_chunk

MAX_UPLOADS: Final = 16
_IN_FLIGHT: Final = 8
_DELIVERY_SECONDS: Final = 30.0
#: An upload that brings less in so long has stalled: the thinnest PCM brings ten times that.
_STALL_SECONDS: Final = 30.0
_STALL_BYTES: Final = 16 * 1024
_MAX_ID: Final = 200

_threads: Final = ThreadPoolExecutor(MAX_UPLOADS, "decode")


def new_stream_id(kind: str) -> str:
    """Make an id that nobody has."""
    return f"{kind}-{secrets.token_hex(6)}"


def check_stream_id(stream_id: str, gateway: Gateway) -> None:
    """Refuse an id that is none, or that is somebody's.

    Raises
    ------
    Problem
        It is empty, too long or not printable, a station's, or being sent.
    """
    if not 0 < len(stream_id) <= _MAX_ID or not stream_id.isprintable():
        raise Problem("bad-stream-id", f"The id has {len(stream_id)} characters, or odd ones.")
    stream = gateway.board.streams.get(stream_id)
    if stream is not None and stream.station is not None:
        raise Problem("stream-busy", f"{stream_id!r} is a station: its receiver sends it.")


@contextmanager
def sending(gateway: Gateway, stream_id: str) -> Iterator[None]:
    """Hold an id while its stream is sent.

    Raises
    ------
    Problem
        The id cannot be used, somebody holds it, or too many streams are being sent.
    """
    check_stream_id(stream_id, gateway)
    if stream_id in gateway.sending:
        raise Problem("stream-busy", f"{stream_id!r} is being sent by another request.")
    if len(gateway.sending) >= MAX_UPLOADS:
        detail = f"{MAX_UPLOADS} streams are being sent, and that is the limit."
        raise Problem("full", detail, {"Retry-After": "5"})
    gateway.sending.add(stream_id)
    outcome = "failed"
    try:
        yield
        outcome = "complete"
    finally:
        gateway.sending.discard(stream_id)
        gateway.counters.uploads.labels(outcome).inc()


class Sender:
    """Sends the chunks of one stream, a bounded number of them on their way."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._failure: BaseException | None = None
        self._futures: set[asyncio.Future[object]] = set()

    async def send(self, chunk: AudioChunk) -> None:
        """Send a chunk when there is room for it.

        Raises
        ------
        Problem
            The broker does not take it.
        """
        try:
            async with asyncio.timeout(_DELIVERY_SECONDS):
                await self._slots.acquire()
                future = await send_chunk(self._gateway.producer, self._gateway.settings, chunk)
        except (KafkaError, TimeoutError) as error:
            raise Problem("broker-away", f"A chunk could not be sent: {error!r}.") from error
        self._futures.add(future)
        future.add_done_callback(self._note)
        self._check()

    def _note(self, future: asyncio.Future[object]) -> None:
        self._slots.release()
        self._futures.discard(future)
        if not future.cancelled() and future.exception():
            self._failure = self._failure or future.exception()

    def _check(self) -> None:
        if self._failure:
            raise Problem("broker-away", f"The broker did not take a chunk: {self._failure!r}.")

    async def delivered(self) -> None:
        """Wait until the broker has all.

        Raises
        ------
        Problem
            It does not take them.
        """
        try:
            async with asyncio.timeout(_DELIVERY_SECONDS):
                while self._futures:
                    await asyncio.wait(set(self._futures))
        except TimeoutError as error:
            raise Problem("broker-away", "Chunks were not delivered in time.") from error
        self._check()


async def bytes_of(gateway: Gateway, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the bytes of an upload, and see that they keep coming.

    Raises
    ------
    Problem
        Too few came in 30 s of waiting.
    """
    waited, came = 0.0, 0
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_STALL_SECONDS - waited):
                data = await anext(parts, None)
        except TimeoutError as error:
            detail = f"{came} bytes came in {_STALL_SECONDS:g} s, fewer than {_STALL_BYTES}."
            raise Problem("upload-slow", detail) from error
        if data is None:
            return
        waited, came = waited + time.monotonic() - began, came + len(data)
        if came >= _STALL_BYTES:
            waited, came = 0.0, 0
        gateway.counters.upload_bytes.inc(len(data))
        if data:
            yield data


async def upload(
    gateway: Gateway,
    stream_id: str,
    parts: AsyncIterator[bytes],
    content_type: str,
    length: int | None,
    *,
    early: bool = True,
) -> float:
    """Send an upload as one stream.

    Parameters
    ----------
    gateway
        Whose producer sends.
    stream_id
        Its id; see `sending`.
    parts
        Its bytes as they come.
    content_type
        ``audio/pcm;…`` is sent as it comes, without end if need be; of all else the bytes decide.
    length
        Of the whole in bytes, where it is known.
    early
        Whether somebody waits for labels before the end.

    Returns
    -------
    The seconds that were sent.

    Raises
    ------
    Problem
        The audio or the broker is not as it must be.
    """
    try:
        raw = parse_content_type(content_type)
        if raw:
            return await _send_pcm(gateway, PcmCutter(stream_id, raw), bytes_of(gateway, parts))
        return await _send_file(gateway, stream_id, bytes_of(gateway, parts), length, early=early)
    except AudioError as error:
        raise Problem("not-audio", f"{error}.") from error


async def _send_pcm(gateway: Gateway, cutter: PcmCutter, parts: AsyncIterator[bytes]) -> float:
    sender, size = Sender(gateway), 0
    try:
        async for data in parts:
            size += len(data)
            for chunk in cutter.add(data):
                await sender.send(chunk)
    finally:
        await sender.send(cutter.end())
    await sender.delivered()
    return size / seconds_bytes(cutter.format)


def seconds_bytes(raw: PcmFormat) -> int:
    """Return the bytes of a second."""
    return raw.frame_bytes * raw.sample_rate


async def _send_file(
    gateway: Gateway,
    stream_id: str,
    parts: AsyncIterator[bytes],
    length: int | None,
    *,
    early: bool,
) -> float:
    limit = gateway.settings.gateway_upload_mb * 1024 * 1024
    if length is not None and length > limit:
        raise _too_large(gateway)
    loop, sender = asyncio.get_running_loop(), Sender(gateway)

    def send(chunk: AudioChunk) -> None:
        asyncio.run_coroutine_threadsafe(sender.send(chunk), loop).result()

    file = GrowingFile()
    allowed = gateway.settings.ffmpeg_in_workers
    decode = partial(decode_growing, allow_ffmpeg=allowed, early=early)
    decoding = loop.run_in_executor(_threads, decode, file, stream_id, send)
    try:
        await _fill(gateway, file, parts, decoding, limit)
        seconds = await decoding
        await sender.delivered()
        return seconds
    finally:
        file.finish(UploadEnded())
        with suppress(Exception):
            await decoding
        file.close()


async def _fill(
    gateway: Gateway,
    file: GrowingFile,
    parts: AsyncIterator[bytes],
    decoding: "asyncio.Future[Any]",
    limit: int,
) -> None:
    async for data in parts:
        if file.size + len(data) > limit:
            raise _too_large(gateway)
        await asyncio.to_thread(file.append, data)
        if decoding.done() and decoding.exception():
            return  # it need not come whole to be refused
    file.finish()


def _too_large(gateway: Gateway) -> Problem:
    limit = gateway.settings.gateway_upload_mb
    return Problem("too-large", f"A file may have {limit} MB (GENRESTREAM_GATEWAY_UPLOAD_MB).")
