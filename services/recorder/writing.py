"""Rows into tables, each event once; to be called within a transaction.

A row of ``windows`` is inserted once for each ``event_id``; only windows that are new add to their
minute and hour, in the same transaction. So the sums are exact under redelivery and replay, as long
as the rows of ``windows`` are kept. They are deleted after a while, and a minute older than that is
sealed: windows that come for it later are not counted, for they may have been counted before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, cast, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from services.recorder.rows import MINUTE, Row, Rows, Span, SpanKey, hours_of, spans
from services.recorder.tables import (
    HOURS,
    MINUTES,
    RETAINED,
    SEGMENTS,
    STATION_EVENTS,
    STATIONS,
    WINDOWS,
)

DAY_MS: Final = 86_400_000
_KEYS_A_QUERY: Final = 300
#: Rows that one transaction deletes, so that none holds others up.
DELETED_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction did.

    Attributes
    ----------
    new_windows
        Windows that were not there.
    sealed_windows
        Of these, windows whose minute is sealed: they are not counted.
    """

    new_windows: int
    sealed_windows: int


def write(connection: Connection, rows: Rows, now_ms: int, sealed_before_ms: int) -> Written:
    """Write a batch.

    Parameters
    ----------
    connection
        In a transaction, which the caller commits.
    rows
        The batch.
    now_ms
        The time.
    sealed_before_ms
        Minutes that were begun before that time are sealed; 0 if windows are kept for ever.
    """
    stamp = {"recorded_ms": now_ms}
    for table, found in (
        (STATIONS, rows.stations),
        (SEGMENTS, rows.segments),
        (STATION_EVENTS, rows.events),
    ):
        _upsert(connection, table, [found[key] | stamp for key in sorted(found)])
    new = _insert_windows(connection, [rows.windows[key] | stamp for key in sorted(rows.windows)])
    sealed = _add_to_sums(connection, new, now_ms, sealed_before_ms)
    return Written(len(new), sum(_minute(row) in sealed for row in new))


def _upsert(connection: Connection, table: Table, rows: list[Row]) -> None:
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    others = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    _execute(connection, statement.on_conflict_do_update(index_elements=keys, set_=others), rows)


def _insert_windows(connection: Connection, rows: list[Row]) -> list[Row]:
    """Insert windows; return those that were not there."""
    statement = _insert(connection, WINDOWS).on_conflict_do_nothing().returning(WINDOWS.c.event_id)
    new = set(_execute(connection, statement, rows))
    return [row for row in rows if row["event_id"] in new]


def _insert(connection: Connection, table: Table) -> Any:
    dialects = {"postgresql": postgresql, "sqlite": sqlite}
    return dialects[connection.dialect.name].insert(table)


def _execute(connection: Connection, statement: Any, rows: list[Row]) -> Sequence[Any]:
    """Insert rows, and return the first column of what the statement returns.

    PostgreSQL gets an array a column: a statement a row takes thrice as long.
    """
    if not rows:
        return ()
    if connection.dialect.name == "postgresql":
        columns = list(statement.table.columns)
        values = select(*(_unnested(column, rows) for column in columns))
        found = connection.execute(statement.from_select(columns, values))
    else:
        found = connection.execute(statement, rows)
    return found.scalars().all() if found.returns_rows else ()


def _unnested(column: Column[Any], rows: list[Row]) -> Any:
    """Return a column of rows as one array, taken apart by the database."""
    values = [row[column.name] for row in rows]
    return func.unnest(cast(values, postgresql.ARRAY(column.type))).label(column.name)


def _minute(row: Row) -> SpanKey:
    return row["station_id"], row["model"], row["began_ms"] - row["began_ms"] % MINUTE


def _add_to_sums(
    connection: Connection, windows: list[Row], now_ms: int, sealed_before_ms: int
) -> set[SpanKey]:
    """Add windows to their minutes and hours; return the minutes that are sealed."""
    keys = {_minute(row) for row in windows}
    sealed = _sealed(connection, keys, sealed_before_ms) if sealed_before_ms else set()
    minutes = spans([row for row in windows if _minute(row) not in sealed], MINUTE)
    _merge(connection, MINUTES, minutes, now_ms)
    _merge(connection, HOURS, hours_of(minutes), now_ms)
    return sealed


def _sealed(connection: Connection, keys: Iterable[SpanKey], before_ms: int) -> set[SpanKey]:
    columns = MINUTES.c.station_id, MINUTES.c.model, MINUTES.c.began_ms
    found: set[SpanKey] = set()
    for some in _in_portions(sorted(keys)):
        statement = select(*columns).where(
            tuple_(*columns).in_(some), MINUTES.c.recorded_ms < before_ms
        )
        found.update((row[0], row[1], row[2]) for row in connection.execute(statement))
    return found


def _merge(
    connection: Connection, table: Table, changes: Mapping[SpanKey, Span], now_ms: int
) -> None:
    """Add to rows that may not be there yet; `recorded_ms` stays that of the first time.

    Rows are made, then locked, then changed, in one order: two recorders wait for each other and
    lose nothing. SQLite has one writer at a time anyway.
    """
    for some in _in_portions(sorted(changes)):
        blank = [_span_row(key, Span()) | {"recorded_ms": now_ms} for key in some]
        _execute(connection, _insert(connection, table).on_conflict_do_nothing(), blank)
        there = _locked(connection, table, some)
        for key in some:
            there[key][0].add(changes[key])
        _upsert(
            connection,
            table,
            [_span_row(key, there[key][0]) | {"recorded_ms": there[key][1]} for key in some],
        )


def _locked(
    connection: Connection, table: Table, keys: list[SpanKey]
) -> dict[SpanKey, tuple[Span, int]]:
    columns = table.c.station_id, table.c.model, table.c.began_ms
    statement = select(table).where(tuple_(*columns).in_(keys)).order_by(*columns)
    rows = connection.execute(statement.with_for_update()).mappings()
    return {
        (row["station_id"], row["model"], row["began_ms"]): (Span.of(dict(row)), row["recorded_ms"])
        for row in rows
    }


def _span_row(key: SpanKey, span: Span) -> Row:
    station_id, model, began_ms = key
    return {"station_id": station_id, "model": model, "began_ms": began_ms, **vars(span)}


def _in_portions(keys: list[SpanKey]) -> Iterable[list[SpanKey]]:
    """Yield so many keys at a time as one statement may name."""
    return (keys[i : i + _KEYS_A_QUERY] for i in range(0, len(keys), _KEYS_A_QUERY))


def delete_old(
    connection: Connection, name: str, before_ms: int, station_id: str | None = None
) -> int:
    """Delete some of the rows of a table that are older; return how many.

    Parameters
    ----------
    connection
        In a transaction.
    name
        Of the table.
    before_ms
        Minutes and hours go by what they are about, the others by when they were recorded.
    station_id
        Whose minutes or hours.
    """
    table = RETAINED[name]
    if station_id is not None:
        mine = table.c.station_id == station_id
        return connection.execute(delete(table).where(mine, table.c.began_ms < before_ms)).rowcount
    key = table.c.event_id
    old = select(key).where(table.c.recorded_ms < before_ms).limit(DELETED_AT_ONCE)
    return connection.execute(delete(table).where(key.in_(old))).rowcount
