"""Messages to rows: pure functions, which know neither Kafka nor SQL."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas import (
    SILENCE,
    GenrePrediction,
    GenreSegment,
    Station,
    StationEvent,
    decode_event,
    to_milliseconds,
)
from schemas.errors import MessageError

#: A row for SQL: a value by column.
Row = dict[str, Any]

MINUTE: Final = 60_000
HOUR: Final = 3_600_000
#: Longer windows exist in no feature set.
MAX_WINDOW_SECONDS: Final = 600.0
#: The largest integer of a column.
_MAX_INTEGER: Final = 2**63 - 1
#: Where nothing is known of the content.
UNKNOWN_CONTENT: Final = "unknown"


@dataclass
class Rows:
    """What a batch of messages puts into the tables, by primary key: each event once.

    Attributes
    ----------
    windows, segments, events, stations
        Rows of the tables of these names, by the event's or the station's id.
    """

    windows: dict[str, Row] = field(default_factory=dict)
    segments: dict[str, Row] = field(default_factory=dict)
    events: dict[str, Row] = field(default_factory=dict)
    stations: dict[str, Row] = field(default_factory=dict)

    def add(self, table: str, row: Row) -> None:
        """Take in a row that `read_row` made."""
        getattr(self, table)[row.get("event_id") or row["station_id"]] = row

    def __len__(self) -> int:
        return sum(map(len, (self.windows, self.segments, self.events, self.stations)))


def read_row(kind: str, value: bytes | None, timestamp_ms: int) -> tuple[str, Row] | None:
    """Make the row of a message.

    Parameters
    ----------
    kind
        What its topic holds: predictions, segments, events or stations.
    value
        Its JSON; ``None`` removes a station, whose rows stay.
    timestamp_ms
        When it was written.

    Returns
    -------
    The table, by its name in `Rows`, and the row; ``None`` where there is nothing to record.

    Raises
    ------
    MessageError
        It is no message of this kind, or no row can hold it.
    """
    if kind == "stations" and value is None:
        return None
    table, read = _READERS[kind]
    row = read(value, timestamp_ms)
    return None if row is None else (table, row)


def _window_row(value: bytes | None, timestamp_ms: int) -> Row | None:
    """Make the row of a prediction; ``None`` for one without a window, which ends a stream."""
    prediction = decode_event(value, GenrePrediction)
    if prediction.window is None:
        return None
    seconds = prediction.end_seconds - prediction.start_seconds
    if not 0 <= seconds <= MAX_WINDOW_SECONDS:
        raise MessageError(
            f"a window of {seconds:g} s: at most {MAX_WINDOW_SECONDS:g} s can be recorded"
        )
    label = (prediction.now or prediction.window).label
    return {
        "event_id": _row_id(prediction.event_id, prediction.heard_at),
        "station_id": clean(prediction.stream_id),
        "model": clean(prediction.model.name),
        "began_ms": _moment(prediction.heard_at, timestamp_ms - 1000 * seconds),
        "seconds": seconds,
        "label": clean(label),
        "content": _content(prediction),
        "level_dbfs": prediction.level_dbfs,
        "missing_chunks": whole(prediction.missing_chunks),
    }


def _row_id(event_id: str, heard_at: str | None) -> Any:
    """Return the id of a row: of an event in all logs, not in one alone.

    An event's id is its place in the log. A topic that is made anew, as by each start of the
    embedded broker, begins at the same places with other events; the time tells them apart.
    """
    return clean(f"{event_id}@{heard_at}" if heard_at else event_id)


def _content(prediction: GenrePrediction) -> str:
    """Name the kind of sound that is most of a window: music, speech, other or silence."""
    if prediction.window and prediction.window.label == SILENCE:
        return SILENCE
    content = prediction.content
    if content is None:
        return UNKNOWN_CONTENT
    shares = {"music": content.music, "speech": content.speech, "other": content.other}
    return max(shares, key=shares.__getitem__)


def _segment_row(value: bytes | None, timestamp_ms: int) -> Row:
    segment = decode_event(value, GenreSegment)
    ended = _moment(segment.ended_at, timestamp_ms)
    return {
        "event_id": _row_id(segment.event_id, segment.began_at),
        "station_id": clean(segment.stream_id),
        "model": clean(segment.model.name),
        "label": clean(segment.label),
        "began_ms": _moment(segment.began_at, ended - 1000 * min(segment.seconds, ended / 1000)),
        "ended_ms": ended,
        "seconds": segment.seconds,
        "heard_seconds": segment.heard_seconds,
        "confidence": segment.confidence,
        "missing_chunks": whole(segment.missing_chunks),
        "continues": segment.continues,
        "final": segment.final,
        "shares": None
        if segment.shares is None
        else {name: getattr(segment.shares, name) for name in segment.shares.__struct_fields__},
    }


def _event_row(value: bytes | None, _: int) -> Row:
    event = decode_event(value, StationEvent)
    return {
        "event_id": clean(event.event_id),
        "station_id": clean(event.station_id),
        "kind": event.kind,
        "at_ms": _moment(event.at, 0),
        "reason": clean(event.reason),
        "message": clean(event.message),
        "title": clean(event.title),
        "missing_seconds": event.missing_seconds,
        "level_dbfs": event.level_dbfs,
        "receiver": clean(event.receiver),
    }


def _station_row(value: bytes | None, _: int) -> Row:
    """Make the row of a station: its address and headers may be secret and stay out."""
    station = decode_event(value, Station)
    return {
        "station_id": station.id,
        "name": clean(station.name),
        "timezone": clean(station.timezone),
        "tags": [clean(tag) for tag in station.tags],
    }


_READERS: Final[Mapping[str, tuple[str, Callable[[bytes | None, int], Row | None]]]] = {
    "predictions": ("windows", _window_row),
    "segments": ("segments", _segment_row),
    "events": ("events", _event_row),
    "stations": ("stations", _station_row),
}


def clean(text: str | None) -> Any:
    """Replace what no database stores as text: NUL and lone surrogates.

    >>> clean("Caf\\x00e")
    'Caf\ufffde'
    """
    if text is None:
        return None
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def whole(number: int) -> int:
    """Return an integer that a column can hold.

    Raises
    ------
    MessageError
        It has more than 63 bits.
    """
    if number > _MAX_INTEGER:
        raise MessageError(f"{number} is more than a database's integers hold: {_MAX_INTEGER}")
    return number


def _moment(time: str | None, default: float) -> int:
    if time is None:
        return max(0, round(default))
    try:
        return to_milliseconds(time)
    except (ValueError, OverflowError) as error:
        raise MessageError(f"{time!r} is no time: {error}") from error


#: Station, model, and the beginning of a minute or an hour, in ms since 1970.
SpanKey = tuple[str, str, int]


@dataclass
class Span:
    """What was heard in a minute, or in an hour.

    Attributes
    ----------
    heard_seconds
        Audio heard.
    missing_chunks
        Chunks that are missing.
    energy
        Sum of power times seconds, relative to full scale, over `level_seconds`: the mean level.
    level_seconds
        Audio whose level is known.
    labels, content
        Seconds of each label, and of each kind of sound.
    """

    heard_seconds: float = 0.0
    missing_chunks: int = 0
    energy: float = 0.0
    level_seconds: float = 0.0
    labels: dict[str, float] = field(default_factory=dict)
    content: dict[str, float] = field(default_factory=dict)

    def add(self, other: "Span") -> None:
        """Add what was heard elsewhere; a day of it adds up to less than a microsecond's error."""
        self.heard_seconds = _exact(self.heard_seconds + other.heard_seconds)
        self.missing_chunks += other.missing_chunks
        self.energy += other.energy
        self.level_seconds = _exact(self.level_seconds + other.level_seconds)
        for mine, theirs in ((self.labels, other.labels), (self.content, other.content)):
            for name, seconds in theirs.items():
                mine[name] = _exact(mine.get(name, 0.0) + seconds)

    @property
    def level_dbfs(self) -> float | None:
        """Mean level, by power; -120 at the lowest."""
        if not self.level_seconds:
            return None
        power = self.energy / self.level_seconds
        return round(10 * math.log10(power), 2) if power > 1e-12 else -120.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Span":
        """Read a row of ``minutes`` or ``hours``."""
        return cls(
            row["heard_seconds"],
            row["missing_chunks"],
            row["energy"],
            row["level_seconds"],
            dict(row["labels"]),
            dict(row["content"]),
        )


def _exact(seconds: float) -> float:
    """Keep sums to the microsecond, so that their order does not matter."""
    return round(seconds, 6)


def spans(windows: Iterable[Row], length_ms: int) -> dict[SpanKey, Span]:
    """Sum up windows by station, model and span of the clock.

    A window that lies in two spans counts in each for its part.

    Parameters
    ----------
    windows
        Rows of windows.
    length_ms
        Of a span: `MINUTE` or `HOUR`.
    """
    found: dict[SpanKey, Span] = {}
    for row in windows:
        for began, seconds in parts(row["began_ms"], row["seconds"], length_ms):
            key = (row["station_id"], row["model"], began)
            found.setdefault(key, Span()).add(
                _part(row, seconds, is_first=began <= row["began_ms"])
            )
    return found


def hours_of(minutes: Mapping[SpanKey, Span]) -> dict[SpanKey, Span]:
    """Sum up minutes by the hour."""
    found: dict[SpanKey, Span] = {}
    for (station_id, model, began), span in minutes.items():
        found.setdefault((station_id, model, began - began % HOUR), Span()).add(span)
    return found


def parts(began_ms: int, seconds: float, length_ms: int) -> list[tuple[int, float]]:
    """Cut a stretch of time at the borders of spans.

    >>> parts(58_500, 3.0, 60_000)
    [(0, 1.5), (60000, 1.5)]
    """
    end_ms, found = began_ms + 1000 * seconds, []
    start = began_ms - began_ms % length_ms
    for span in range(start, max(start + 1, math.ceil(end_ms)), length_ms):
        inside = min(end_ms, span + length_ms) - max(began_ms, span)
        found.append((span, inside / 1000))
    return found


def _part(row: Row, seconds: float, *, is_first: bool) -> Span:
    level = row["level_dbfs"]
    return Span(
        heard_seconds=seconds,
        missing_chunks=row["missing_chunks"] if is_first else 0,
        energy=0.0 if level is None else 10 ** (min(level, 60.0) / 10) * seconds,
        level_seconds=0.0 if level is None else seconds,
        labels={row["label"]: seconds},
        content={row["content"]: seconds},
    )
