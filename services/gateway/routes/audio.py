"""Audio in: a file for its answer, a stream of any length, a microphone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, WebSocket
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from schemas import GenrePrediction, encode_event
from schemas.errors import AudioError
from services.gateway.answers import Json
from services.gateway.feed import now_ms
from services.gateway.limits import RateLimit
from services.gateway.openapi import answers, audio_body
from services.gateway.pcm import PcmCutter, PcmFormat, pcm_format
from services.gateway.problems import Problem
from services.gateway.state import Gateway, gateway_of
from services.gateway.streams import now_view
from services.gateway.uploads import Sender, new_stream_id, seconds_bytes, sending, upload

router = APIRouter(prefix="/api", tags=["audio"])

#: No prediction for so long, though all was sent, means that nobody works on it.
_ANSWER_SECONDS: Final = 30.0
_MICROPHONE_CHUNK_SECONDS: Final = 0.5
_MICROPHONE_IDLE_SECONDS: Final = 30.0
#: A microphone may bring so much more than real time, and so much of it at once.
_MICROPHONE_RATE: Final = 1.5
_MICROPHONE_BURST_SECONDS: Final = 10.0
_NDJSON: Final = "application/x-ndjson"
_SSE: Final = "text/event-stream"


@router.post(
    "/classify",
    responses=answers(GenrePrediction, "not-audio", "too-large", "no-answer", "full"),
    openapi_extra=audio_body(),
)
async def classify(request: Request) -> Response:
    """Answer for a file: the last prediction of it, or with ``Accept`` every window's as it comes.

    ``application/x-ndjson`` gives a line a window, ``text/event-stream`` an event a window. The
    answer is that of ``genrestream classify``.
    """
    gateway = gateway_of(request)
    check_rate(gateway, request)
    accept = request.headers.get("accept", "")
    windows = _NDJSON in accept or _SSE in accept
    found = _predictions(gateway, request, early=windows)
    if windows:
        first = await anext(found, None)  # a problem that comes before it is answered as one
        media_type = _NDJSON if _NDJSON in accept else _SSE
        return StreamingResponse(_written(first, found, media_type), media_type=media_type)
    last = None
    async for prediction in found:
        last = prediction
    if last is None:
        raise Problem("no-answer")
    return Json(encode_event(last))


async def _written(
    first: GenrePrediction | None, rest: AsyncIterator[GenrePrediction], media_type: str
) -> AsyncIterator[bytes]:
    """Write predictions; a problem on the way is the last line, as the status is sent already."""
    lines = media_type == _NDJSON
    try:
        if first:
            yield _line("prediction", encode_event(first), lines)
        async for prediction in rest:
            yield _line("prediction", encode_event(prediction), lines)
    except Problem as problem:
        yield _line("problem", json.dumps(problem.body()).encode(), lines)


def _line(kind: str, data: bytes, lines: bool) -> bytes:
    return data + b"\n" if lines else b"event: %s\ndata: %s\n\n" % (kind.encode(), data)


async def _predictions(
    gateway: Gateway, request: Request, *, early: bool
) -> AsyncIterator[GenrePrediction]:
    """Send the body as a stream of its own, and yield its predictions up to the final one."""
    stream_id = new_stream_id("file")
    queue = gateway.hub.follow(stream_id)
    sent = asyncio.create_task(_send(gateway, request, stream_id, early=early))
    try:
        while True:
            prediction = await _next(queue, sent)
            yield prediction
            if prediction.final:
                await sent
                return
    finally:
        sent.cancel()
        await asyncio.wait([sent])
        gateway.hub.unfollow(stream_id, queue)


async def _send(gateway: Gateway, request: Request, stream_id: str, *, early: bool = True) -> float:
    content_type = request.headers.get("content-type", "")
    length = request.headers.get("content-length")
    with sending(gateway, stream_id):
        size = int(length) if length and length.isdigit() else None
        return await upload(gateway, stream_id, request.stream(), content_type, size, early=early)


async def _next(
    queue: "asyncio.Queue[GenrePrediction]", sent: "asyncio.Task[float]"
) -> GenrePrediction:
    """Wait for a prediction: while the upload goes on for as long as that, then for 30 s."""
    getting = asyncio.create_task(queue.get())
    try:
        if not sent.done():
            await asyncio.wait([getting, sent], return_when=asyncio.FIRST_COMPLETED)
            if sent.done():
                sent.result()
        async with asyncio.timeout(_ANSWER_SECONDS if sent.done() else None):
            return await getting
    except TimeoutError as error:
        detail = f"All was sent, and for {_ANSWER_SECONDS:g} s nothing came of it."
        raise Problem("no-answer", detail) from error
    finally:
        getting.cancel()


@router.post(
    "/streams/{stream_id:path}",
    responses=answers(dict, "bad-stream-id", "not-audio", "stream-busy", "too-large", "full"),
    openapi_extra=audio_body(),
)
async def send_stream(request: Request, stream_id: str) -> Response:
    """Send audio of any length as one stream; its predictions are events of that stream.

    Raw PCM (``Content-Type: audio/pcm;rate=44100;channels=2;encoding=s16le``) is passed on as it
    comes, for as long as it comes; a file is decoded as it comes.
    """
    gateway = gateway_of(request)
    check_rate(gateway, request)
    seconds = await _send(gateway, request, stream_id)
    return Json({"stream_id": stream_id, "seconds": round(seconds, 3)})


def check_rate(gateway: Gateway, connection: Any) -> None:
    """Refuse a client that begins too many uploads.

    Raises
    ------
    Problem
        It does.
    """
    client = connection.client.host if connection.client else "unknown"
    wait = gateway.uploads.take(client, now_ms() / 1000)
    if wait:
        detail = "More than an upload a second came from you."
        raise Problem("too-many", detail, {"Retry-After": str(max(1, round(wait)))})


@router.websocket("/microphone")
async def microphone(
    socket: WebSocket,
    rate: Annotated[str, Query()] = "48000",
    encoding: Annotated[str, Query()] = "s16le",
) -> None:
    """Take PCM of one channel in binary messages; send back what it sounds like, in JSON."""
    gateway, stream_id = gateway_of(socket), new_stream_id("microphone")
    await socket.accept()
    try:
        check_rate(gateway, socket)
        raw = pcm_format(rate, "1", encoding)
        with sending(gateway, stream_id):
            await _listen(gateway, socket, stream_id, raw)
    except AudioError as error:
        await _refuse(socket, Problem("not-audio", f"{error}."))
    except Problem as problem:
        await _refuse(socket, problem)
    except (WebSocketDisconnect, RuntimeError):
        pass  # it left


async def _refuse(socket: WebSocket, problem: Problem) -> None:
    await socket.send_json({"problem": problem.body()})
    await socket.close(1008, problem.code)


async def _listen(gateway: Gateway, socket: WebSocket, stream_id: str, raw: PcmFormat) -> None:
    queue = gateway.hub.follow(stream_id)
    answering = asyncio.create_task(_answer(socket, stream_id, queue))
    sender, cutter = Sender(gateway), PcmCutter(stream_id, raw, _MICROPHONE_CHUNK_SECONDS)
    pace = RateLimit(_MICROPHONE_BURST_SECONDS, _MICROPHONE_RATE)
    try:
        await socket.send_json({"stream_id": stream_id})
        while True:
            data = await _receive(socket)
            gateway.counters.upload_bytes.inc(len(data))
            seconds = len(data) / seconds_bytes(raw)
            if pace.take("", now_ms() / 1000, seconds):
                raise Problem("too-many", "Audio comes faster than it sounds.")
            for chunk in cutter.add(data):
                await sender.send(chunk)
    finally:
        await sender.send(cutter.end())
        answering.cancel()
        await asyncio.wait([answering])
        gateway.hub.unfollow(stream_id, queue)


async def _receive(socket: WebSocket) -> bytes:
    try:
        async with asyncio.timeout(_MICROPHONE_IDLE_SECONDS):
            message = await socket.receive()
    except TimeoutError as error:
        raise Problem("upload-slow", "The microphone was still for 30 s.") from error
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    data: bytes | None = message.get("bytes")
    if data is None:
        raise Problem("bad-request", "Send binary messages of PCM, no text.")
    return data


async def _answer(
    socket: WebSocket, stream_id: str, queue: "asyncio.Queue[GenrePrediction]"
) -> None:
    while True:
        prediction = await queue.get()
        shown = Json({"id": stream_id, "now": now_view(prediction, None)})
        await socket.send_text(bytes(shown.body).decode())
