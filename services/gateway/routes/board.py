"""What is known now: streams, their segments, the page's snapshot, and events as they come."""

import asyncio
import time
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from schemas import GenreSegment, to_time
from services.gateway.answers import Json
from services.gateway.cursor import BadCursor
from services.gateway.events import KINDS, MESSAGE_KINDS
from services.gateway.feed import now_ms
from services.gateway.hub import Selection
from services.gateway.openapi import answers
from services.gateway.problems import Problem
from services.gateway.sse import EventStream
from services.gateway.state import Gateway, gateway_of
from services.gateway.streams import Stream
from services.gateway.views import Detail, Row

router = APIRouter(prefix="/api")

_SNAPSHOT_SECONDS: Final = 1.0
_FIRST_READ_SECONDS: Final = 20.0
_cache: dict[int, tuple[float, bytes]] = {}


@router.get("/board", tags=["now"], responses=answers(dict))
async def board(request: Request) -> Response:
    """Show everything at once, as the page begins: rows, strips, and the place to go on from.

    Read on with ``api/events?last_event_id=`` and the cursor, and nothing is missed.
    """
    gateway = gateway_of(request)
    await _log_read(gateway)
    now, (made, body) = time.monotonic(), _cache.get(id(gateway), (0.0, b""))
    if not body or now - made > _SNAPSHOT_SECONDS:
        body = bytes(Json(snapshot(gateway)).body)
        _cache[id(gateway)] = (now, body)
    return Json(body, headers={"Cache-Control": "no-store"})


def snapshot(gateway: Gateway) -> dict[str, Any]:
    """Show the board, the place in the log that it stands for, and how the gateway is."""
    shown = gateway.board.snapshot(now_ms())
    cursor = gateway.hub.layout.encode(gateway.hub.offsets)
    return {
        **shown,
        "cursor": cursor,
        "time": now_ms(),
        "status": gateway.feed.status(),
        "history": gateway.history is not None,
    }


@router.get("/now", tags=["now"], responses=answers(list[Row]))
async def now(request: Request) -> Response:
    """List all streams and stations with what they sound like now."""
    return Json(list(gateway_of(request).board.rows(now_ms())))


@router.get("/now/{stream_id:path}", tags=["now"], responses=answers(Row, "no-such-stream"))
async def now_of(request: Request, stream_id: str) -> Response:
    """Show what one stream or station sounds like now."""
    return Json(_stream(request, stream_id).row(now_ms()))


@router.get("/streams/{stream_id:path}", tags=["now"], responses=answers(Detail, "no-such-stream"))
async def stream(request: Request, stream_id: str) -> Response:
    """Show all that is kept of a stream: spans of the last day, events, titles, models."""
    return Json(_stream(request, stream_id).detail(now_ms()))


@router.get(
    "/segments/{stream_id:path}",
    tags=["now"],
    responses=answers(list[dict], "no-such-stream"),  # type: ignore[type-arg]
)
async def segments(
    request: Request, stream_id: str, limit: Annotated[int, Query(ge=1, le=5000)] = 100
) -> Response:
    """List the latest segments of a stream, newest first, for at most a day.

    Events of kind ``segment`` have them whole, as the topic genre.segments does.
    """
    spans = _stream(request, stream_id).strip.spans[-limit:]
    listed = [
        {"label": span.label, "began_at": to_time(span.start), "ended_at": to_time(span.end)}
        for span in reversed(spans)
    ]
    return Json(listed)


def _stream(request: Request, stream_id: str) -> Stream:
    found = gateway_of(request).board.streams.get(stream_id)
    if found is None:
        raise Problem("no-such-stream", f"Nothing was heard of {stream_id[:100]!r} lately.")
    return found


@router.get("/events", tags=["events"], responses=answers(GenreSegment, "bad-cursor", "full"))
async def events(
    request: Request,
    kinds: Annotated[str, Query(description="with commas; by default the topics' messages")] = "",
    stream: Annotated[list[str] | None, Query(description="only these streams")] = None,
    last_event_id: Annotated[str | None, Query(description="as the header")] = None,
    header_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """Send events as they come (Server-Sent Events).

    Kinds: ``prediction``, ``segment`` and ``station-event`` are the topics' messages; ``now``,
    ``row`` and ``gone`` are what the page shows; ``status`` comes always. The id of an event holds
    the offsets of all partitions: with ``Last-Event-ID`` what was missed is sent first.
    """
    gateway = gateway_of(request)
    if gateway.hub.readers >= gateway.settings.gateway_readers:
        detail = f"{gateway.settings.gateway_readers} readers (GENRESTREAM_GATEWAY_READERS)."
        raise Problem("full", detail, {"Retry-After": "10"})
    chosen = selection(kinds, stream)
    await _log_read(gateway)
    return EventStream(gateway, chosen, _begin(gateway, header_id, last_event_id))


async def _log_read(gateway: Gateway) -> None:
    """Wait a while, after a start, until the board is right and cursors have their meaning.

    Raises
    ------
    Problem
        No broker has answered since the start.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_READ_SECONDS):
            await gateway.feed.all_read.wait()
    if not gateway.hub.offsets:
        raise Problem("broker-away", "", {"Retry-After": "5"})


def selection(kinds: str, streams: list[str] | None) -> Selection:
    """Read what events are asked for.

    Raises
    ------
    Problem
        An unknown kind.
    """
    chosen = frozenset(kinds.split(",")) - {""} if kinds else frozenset(MESSAGE_KINDS)
    unknown = sorted(chosen - set(KINDS))
    if unknown:
        detail = f"The kind {unknown[0][:40]!r} is unknown: choose of {', '.join(KINDS)}."
        raise Problem("bad-request", detail)
    return Selection(chosen, frozenset(streams) if streams else None)


def _begin(gateway: Gateway, *ids: str | None) -> Any:
    text = next((text for text in ids if text), None)
    if text is None:
        return None
    try:
        return gateway.hub.layout.decode(text)
    except BadCursor as error:
        raise Problem("bad-cursor", f"{error}.".capitalize()) from error
