"""Stations: read by all, changed by those who have the token."""

import time

import msgspec
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request
from starlette.responses import Response

from schemas import Station
from schemas.codec import encode_event
from schemas.errors import GenrestreamError
from services.gateway.answers import Json
from services.gateway.guard import request_of
from services.gateway.openapi import answers, station_body
from services.gateway.problems import Problem
from services.gateway.state import Gateway, gateway_of
from services.gateway.views import StationView, station_view
from services.kafka.topics import Topics

router = APIRouter(prefix="/api/stations", tags=["stations"])


@router.get("", responses=answers(list[StationView]))
async def list_stations(request: Request) -> Response:
    """List the stations; addresses are shown to those who have the token."""
    gateway = gateway_of(request)
    shown = _may_change(gateway, request)
    stations = gateway.board.stations()
    return Json([station_view(station, with_address=shown) for station in stations])


@router.get("/{station_id}", responses=answers(StationView, "no-such-station"))
async def get_station(request: Request, station_id: str) -> Response:
    """Show a station."""
    gateway = gateway_of(request)
    station = _station(gateway, station_id)
    return Json(station_view(station, with_address=_may_change(gateway, request)))


@router.put(
    "/{station_id}",
    responses=answers(StationView, "bad-station", "writes-off"),
    openapi_extra=station_body(),
)
async def put_station(request: Request, station_id: str) -> Response:
    """Add a station, or change it. Needs the token."""
    gateway = gateway_of(request)
    _require_token(gateway, request)
    station = _read(await request.body(), station_id)
    if gateway.check_station:
        try:
            gateway.check_station(station)
        except GenrestreamError as error:
            raise Problem("bad-station", f"{error}.") from error
    await _write(gateway, station_id, encode_event(station))
    return Json(station_view(station, with_address=True))


@router.delete(
    "/{station_id}", status_code=204, responses=answers(None, "no-such-station", "writes-off")
)
async def delete_station(request: Request, station_id: str) -> Response:
    """Remove a station. Needs the token."""
    gateway = gateway_of(request)
    _require_token(gateway, request)
    _station(gateway, station_id)
    await _write(gateway, station_id, None)
    return Response(status_code=204)


def _station(gateway: Gateway, station_id: str) -> Station:
    stream = gateway.board.streams.get(station_id)
    if stream is None or stream.station is None:
        raise Problem("no-such-station", f"No station has the id {station_id[:100]!r}.")
    return stream.station


def _read(body: bytes, station_id: str) -> Station:
    try:
        given = msgspec.json.decode(body, type=dict)
        return msgspec.convert({**given, "id": station_id}, Station)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("bad-station", f"{error}.") from error


def _may_change(gateway: Gateway, request: Request) -> bool:
    return gateway.access.has_token(request_of(request.scope), time.time())


def _require_token(gateway: Gateway, request: Request) -> None:
    if not gateway.access.token.is_set:
        raise Problem("writes-off")
    gateway.access.require_token(request_of(request.scope), time.monotonic(), time.time())


async def _write(gateway: Gateway, station_id: str, value: bytes | None) -> None:
    topic = Topics(gateway.settings.topic_prefix).stations
    try:
        await gateway.producer.send_and_wait(topic, value=value, key=station_id.encode())
    except KafkaError as error:
        raise Problem("broker-away", f"It could not be written: {error!r}.") from error
