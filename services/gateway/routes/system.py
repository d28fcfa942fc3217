"""The gateway itself: signing in, health, metrics, history."""

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from schemas import to_milliseconds
from services.gateway.answers import Json
from services.gateway.feed import now_ms
from services.gateway.openapi import answers, json_body
from services.gateway.problems import Problem
from services.gateway.state import gateway_of
from services.gateway.tokens import COOKIE, COOKIE_SECONDS

router = APIRouter()

_DAY_MS = 86_400_000


@router.post(
    "/api/session",
    tags=["session"],
    status_code=204,
    responses=answers(None, "token-wrong", "too-many"),
    openapi_extra=json_body({"token": "the value of GENRESTREAM_TOKEN"}),
)
async def sign_in(request: Request) -> Response:
    """Take the token and give a cookie, for the page."""
    gateway = gateway_of(request)
    try:
        given: Any = msgspec.json.decode(await request.body())
        token = str(given["token"])
    except (msgspec.MsgspecError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise Problem("bad-request", 'Send {"token": "…"}.') from error
    if not gateway.access.token.is_set:
        return Response(status_code=204)
    client = request.client.host if request.client else "unknown"
    gateway.access.check_guess(client, time.monotonic(), token)
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        gateway.access.token.cookie(time.time()),
        max_age=COOKIE_SECONDS,
        path=None,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.delete("/api/session", tags=["session"], status_code=204, responses=answers(None))
async def sign_out(request: Request) -> Response:  # noqa: ARG001
    """Forget the cookie."""
    response = Response(status_code=204)
    response.set_cookie(COOKIE, "", max_age=0, path=None, httponly=True, samesite="strict")
    return response


@router.get("/api/health", tags=["system"], responses=answers(dict))
async def health(request: Request) -> Response:
    """Say how the gateway is: the broker, what is read, who reads."""
    gateway = gateway_of(request)
    return Json(
        {
            **gateway.feed.status(),
            "caught_up": gateway.feed.caught_up,
            "streams": len(gateway.board.streams),
            "readers": gateway.hub.readers,
            "sending": len(gateway.sending),
            "history": gateway.history is not None,
        }
    )


@router.get("/healthz", tags=["system"], responses=answers(str), response_class=PlainTextResponse)
async def alive() -> Response:
    """Answer while the process works."""
    return PlainTextResponse("alive\n")


@router.get("/readyz", tags=["system"], responses=answers(str), response_class=PlainTextResponse)
async def ready(request: Request) -> Response:
    """Answer ok when the board is right: the broker answers and all that was there is read."""
    feed = gateway_of(request).feed
    if feed.trouble or not feed.caught_up:
        return PlainTextResponse(f"{feed.trouble or 'the log is being read'}\n", 503)
    return PlainTextResponse("ready\n")


@router.get("/metrics", tags=["system"], responses=answers(str), response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Give the metrics, in Prometheus' text format."""
    gateway = gateway_of(request)
    counters = gateway.counters
    counters.streams.set(len(gateway.board.streams))
    counters.messages.set(gateway.feed.messages)
    counters.broker_up.set(gateway.feed.trouble is None)
    return Response(generate_latest(counters.registry), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/api/history/{station_id:path}",
    tags=["history"],
    responses=answers(dict, "no-history", "bad-request"),
)
async def history(
    request: Request,
    station_id: str,
    start: Annotated[str | None, Query(alias="from", description="RFC 3339; a day ago")] = None,
    end: Annotated[str | None, Query(alias="to", description="RFC 3339; now")] = None,
    step: Annotated[int, Query(ge=60, le=86_400, description="seconds")] = 3600,
) -> Response:
    """Tell what a station played, from the recorder's database."""
    gateway = gateway_of(request)
    if gateway.history is None:
        raise Problem("no-history")
    if step % 60:
        raise Problem("bad-request", f"step={step} is no multiple of 60 seconds.")
    end_ms = _time("to", end, now_ms())
    start_ms = _time("from", start, end_ms - _DAY_MS)
    if not 0 <= end_ms - start_ms <= 5_000 * step * 1000:
        raise Problem("bad-request", "At most 5000 steps: take a longer step or a shorter time.")
    return Json(await gateway.history(station_id, start_ms, end_ms, step))


def _time(name: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return to_milliseconds(text.replace(" ", "+"))
    except (ValueError, OverflowError) as error:
        detail = f"{name}={text[:40]!r} is no time: write 2026-11-25T10:00:00Z."
        raise Problem("bad-request", detail) from error
