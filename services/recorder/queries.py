"""What the database says of a station. Every function takes a connection and reads only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Select, Table, select

from services.recorder.answers import By, Step
from services.recorder.calendar import steps
from services.recorder.rows import HOUR, MINUTE, Row, Span
from services.recorder.tables import HOURS, MINUTES, SEGMENTS, STATION_EVENTS, STATIONS

#: Of a row, before the seconds of each label or kind of sound; in the order of `Span`.
_SPAN_COLUMNS: Final = (
    *("began_ms", "model", "heard_seconds", "missing_chunks", "energy", "level_seconds"),
)
_SECONDS: Final = {"label": "labels", "content": "content"}


@dataclass(frozen=True, slots=True)
class StationRow:
    """A station as the recorder knows it; one that is not applied has its id and UTC alone."""

    station_id: str
    name: str
    zone: ZoneInfo


def station(connection: Connection, station_id: str) -> StationRow:
    """Return the name and the zone of a station."""
    statement = select(STATIONS).where(STATIONS.c.station_id == station_id)
    row = connection.execute(statement).mappings().first()
    if row is None:
        return StationRow(station_id, station_id, ZoneInfo("UTC"))
    return StationRow(station_id, row["name"], _zone(row["timezone"]))


def _zone(name: str) -> ZoneInfo:
    """Return the zone of that name, or UTC: a station of a newer release may name a new one."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")


def is_known(connection: Connection, station_id: str) -> bool:
    """Tell whether there is anything of a station or a stream: an entry, minutes or events."""
    return any(
        connection.execute(
            select(table.c.station_id).where(table.c.station_id == station_id).limit(1)
        ).first()
        for table in (STATIONS, HOURS, MINUTES, STATION_EVENTS)
    )


def station_ids(connection: Connection) -> list[str]:
    """List the stations of which something was heard."""
    found: list[str] = []
    last = ""
    while True:  # a step of the index a station, rather than all rows
        statement = (
            select(HOURS.c.station_id)
            .where(HOURS.c.station_id > last)
            .order_by(HOURS.c.station_id)
            .limit(1)
        )
        row = connection.execute(statement).first()
        if row is None:
            return found
        last = row[0]
        found.append(last)


def history(
    connection: Connection,
    station_id: str,
    begin_ms: int,
    end_ms: int,
    step: int,
    by: By = "label",
    *,
    at: ZoneInfo | None = None,
    model: str | None = None,
) -> list[Step]:
    """Tell what a station played, step by step.

    Minutes are whole: one that `begin_ms` or `end_ms` cuts counts where it begins.

    Parameters
    ----------
    connection
        To the database.
    station_id
        The station.
    begin_ms, end_ms
        The time, in ms since 1970.
    step
        Length of a step in seconds: a multiple of 60. Whole days go by the zone's clock.
    by
        What the shares are of.
    at
        The zone; by default the station's.
    model
        Whose answers; by default those of the model that heard most of a step.
    """
    at = at or station(connection, station_id).zone
    spans = list(steps(begin_ms, end_ms, step, at))
    return _in_steps(spans, connection.execute(span_query(spans, station_id, by, model)).all())


def span_query(
    spans: list[tuple[int, int]], station_id: str, by: By = "label", model: str | None = None
) -> Select[Any]:
    """Return the query for spans: of hours where all their borders are, else of minutes."""
    table, length = MINUTES, MINUTE
    if all(begin % HOUR == 0 and end % HOUR == 0 for begin, end in spans):
        table, length = HOURS, HOUR
    begin, end = (spans[0][0], spans[-1][1]) if spans else (0, 0)
    statement = _between(table, by, station_id, begin - begin % length, end)
    return statement if model is None else statement.where(table.c.model == model)


def _between(table: Table, by: By, station_id: str, begin_ms: int, end_ms: int) -> Select[Any]:
    return (
        select(*(table.c[name] for name in (*_SPAN_COLUMNS, _SECONDS[by])))
        .where(
            table.c.station_id == station_id,
            table.c.began_ms >= begin_ms,
            table.c.began_ms < end_ms,
        )
        .order_by(table.c.began_ms)
    )


def _in_steps(spans: list[tuple[int, int]], rows: Iterable[Sequence[Any]]) -> list[Step]:
    sums: list[dict[str, Span]] = [{} for _ in spans]
    index, last = 0, len(spans) - 1
    end_ms = spans[0][1] if spans else 0
    for began_ms, model, *values in rows:
        while began_ms >= end_ms and index < last:
            index += 1
            end_ms = spans[index][1]
        found = sums[index]
        if model in found:
            found[model].add(Span(*values))
        else:
            found[model] = Span(*values)
    return [_step(span, found) for span, found in zip(spans, sums, strict=True)]


def _step(span: tuple[int, int], found: dict[str, Span]) -> Step:
    """Sum a step up; what its shares are of stands in `Span.labels`."""
    if not found:
        return Step(*span, 0.0, 0, None, {}, None)
    model, total = next(iter(found.items()))
    if len(found) > 1:
        model, total = max(found.items(), key=lambda item: (item[1].heard_seconds, item[0]))
    seconds = total.labels
    whole = sum(seconds.values()) or 1.0
    shares = {name: round(value / whole, 6) for name, value in seconds.items()}
    if len(shares) > 1:
        shares = dict(sorted(shares.items(), key=lambda item: (-seconds[item[0]], item[0])))
    return Step(*span, total.heard_seconds, total.missing_chunks, total.level_dbfs, shares, model)


def segments(connection: Connection, station_id: str, begin_ms: int, end_ms: int) -> list[Row]:
    """Return the segments that lie at least in part in a time, in order of their beginning."""
    table = SEGMENTS
    statement = (
        select(table)
        .where(
            table.c.station_id == station_id, table.c.ended_ms > begin_ms, table.c.began_ms < end_ms
        )
        .order_by(table.c.began_ms, table.c.event_id)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def events(connection: Connection, station_id: str, begin_ms: int, end_ms: int) -> list[Row]:
    """Return what happened to a station in a time, in order."""
    table = STATION_EVENTS
    statement = (
        select(table)
        .where(table.c.station_id == station_id, table.c.at_ms >= begin_ms, table.c.at_ms < end_ms)
        .order_by(table.c.at_ms, table.c.event_id)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]
