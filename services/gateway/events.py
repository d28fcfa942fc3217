"""What a message means to pages: the board changes, and events say how.

An event is one of the topics' messages as it is (``prediction``, ``segment``, ``station-event``),
or what a page shows of it (``now``, ``row``, ``gone``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas import GenrePrediction, GenreSegment, Station, StationEvent, decode_event
from schemas.errors import MessageError
from services.gateway.board import Board
from services.gateway.streams import Stream, now_view

#: Of the topics' messages, and of what is made from them.
MESSAGE_KINDS: Final = ("prediction", "segment", "station-event")
PAGE_KINDS: Final = ("now", "row", "gone")
KINDS: Final = (*MESSAGE_KINDS, *PAGE_KINDS)

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Message:
    """A record of one of the topics that the gateway reads.

    Attributes
    ----------
    role
        Which of the topics: ``predictions``, ``segments``, ``stations``, ``station_events`` or
        ``features``.
    partition, offset
        Its place.
    key, value
        As in the log.
    timestamp_ms
        Of the record.
    """

    role: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell readers.

    Attributes
    ----------
    kind
        One of `KINDS`.
    stream_id
        Whom it is about.
    data
        JSON in one line.
    prediction
        The prediction that it is, for those who wait for the answers of one stream.
    """

    kind: str
    stream_id: str
    data: bytes
    prediction: GenrePrediction | None = None


class _Level(msgspec.Struct):
    """What the gateway reads of a feature vector."""

    stream_id: str
    window_index: int
    level_dbfs: float


_decode_level: Final = msgspec.json.Decoder(_Level).decode


def apply(board: Board, message: Message, now_ms: int) -> list[Event]:
    """Change the board by a message, and say what readers are told.

    A message that is none of ours changes nothing: the topic's own consumers report it.
    """
    try:
        return _HANDLERS[message.role](board, message, now_ms)
    except (MessageError, msgspec.MsgspecError, UnicodeDecodeError):
        return []


def _predict(board: Board, message: Message, now_ms: int) -> list[Event]:
    prediction = decode_event(message.value, GenrePrediction)
    stream, changed = board.predict(prediction, message.timestamp_ms)
    events = [_row(stream, now_ms)] if changed else []
    return events + _predicted(prediction, message.value or b"", stream.level_dbfs)


def _segment(board: Board, message: Message, now_ms: int) -> list[Event]:  # noqa: ARG001
    segment = decode_event(message.value, GenreSegment)
    board.segment(segment, message.timestamp_ms)
    return [Event("segment", segment.stream_id, message.value or b"")]


def _happen(board: Board, message: Message, now_ms: int) -> list[Event]:
    event = decode_event(message.value, StationEvent)
    stream, is_news = board.happen(event, message.timestamp_ms)
    told = [Event("station-event", event.station_id, message.value or b"")]
    return [*told, _row(stream, now_ms)] if is_news else told


def _announce(board: Board, message: Message, now_ms: int) -> list[Event]:
    if not message.value:
        station_id = (message.key or b"").decode()
        return [gone(station_id)] if board.remove(station_id) else []
    station = decode_event(message.value, Station)
    return [_row(board.announce(station, message.timestamp_ms), now_ms)]


def _hear(board: Board, message: Message, now_ms: int) -> list[Event]:  # noqa: ARG001
    level = _decode_level(message.value or b"")
    board.hear(level.stream_id, level.window_index, level.level_dbfs)
    return []


_HANDLERS: Final[dict[str, Callable[[Board, Message, int], list[Event]]]] = {
    "predictions": _predict,
    "segments": _segment,
    "station_events": _happen,
    "stations": _announce,
    "features": _hear,
}


def retell(board: Board, message: Message, now_ms: int) -> list[Event]:
    """Say what readers were told of a message that the board has taken in already.

    What a row says is what holds now.
    """
    try:
        events = _told(message)
    except (MessageError, msgspec.MsgspecError, UnicodeDecodeError):
        return []
    if message.role in ("stations", "station_events"):
        stream_id = (message.key or b"").decode(errors="replace")
        stream = board.streams.get(stream_id)
        events.append(_row(stream, now_ms) if stream else gone(stream_id))
    return events


def _told(message: Message) -> list[Event]:
    value = message.value or b""
    if message.role == "predictions":
        return _predicted(decode_event(value, GenrePrediction), value, None)
    if message.role == "segments":
        return [Event("segment", decode_event(value, GenreSegment).stream_id, value)]
    if message.role == "station_events":
        return [Event("station-event", decode_event(value, StationEvent).station_id, value)]
    return []


def _predicted(prediction: GenrePrediction, value: bytes, level: float | None) -> list[Event]:
    stream_id = prediction.stream_id
    shown = _encode({"id": stream_id, "now": now_view(prediction, level)})
    return [Event("now", stream_id, shown), Event("prediction", stream_id, value, prediction)]


def _row(stream: Stream, now_ms: int) -> Event:
    return Event("row", stream.id, _encode(stream.row(now_ms)))


def gone(stream_id: str) -> Event:
    """Say that a stream is not on the board any more."""
    return Event("gone", stream_id, _encode({"id": stream_id}))


def status(value: dict[str, Any]) -> Event:
    """Say how the gateway itself is: told to all readers, whatever they asked for."""
    return Event("status", "", _encode(value))


def block(event: Event, event_id: str | None) -> bytes:
    """Write an event as Server-Sent Events have it."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event.kind}\ndata: ".encode() + event.data + b"\n\n"
