"""What the commands of history do: open the database, ask, and write the answer."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from schemas import to_time
from schemas.errors import SettingsError
from services.recorder import calendar, queries
from services.recorder.answers import By, Step
from services.recorder.database import connect, database_url, explain, shown
from services.recorder.day import Day
from services.recorder.report import report
from services.recorder.schema import bring_up_to_date, require_schema
from services.recorder.tables import RETAINED
from services.settings import Settings

_ROWS_AT_ONCE = 5_000
MAX_STEPS = 600_000
#: Stations that an error names.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What ``history show`` asks, as it was typed."""

    station: str
    begin: str
    end: str
    step: str
    by: By
    model: str | None


def initialise(settings: Settings) -> str:
    """Bring the schema up to date; return a line that says so."""
    url = database_url(settings)
    version = bring_up_to_date(url)
    return f"the database {shown(url)} has schema {version}"


@contextmanager
def reading(settings: Settings) -> Iterator[Connection]:
    """Connect for reading for the duration of a ``with`` block.

    Raises
    ------
    DatabaseError
        The database does not answer, or has another schema.
    """
    url = database_url(settings)
    engine = connect(url, write=False)
    try:
        with engine.connect() as connection:
            require_schema(connection, url)
            yield connection
    except SQLAlchemyError as error:
        raise explain(error, url) from error
    finally:
        engine.dispose()


@contextmanager
def steps(settings: Settings, request: Request) -> Iterator[tuple[ZoneInfo, list[Step]]]:
    """Answer a request, with the zone of the station.

    Raises
    ------
    SettingsError
        A time or a step is none, or nothing is known of the station.
    """
    now = datetime.now(UTC)
    step = calendar.parse_step(request.step)
    with reading(settings) as connection:
        _require_known(connection, request.station)
        at = queries.station(connection, request.station).zone
        begin = calendar.parse_moment(request.begin, at, now)
        end = calendar.parse_moment(request.end, at, now)
        begin -= begin % 60_000
        if begin >= end or (end - begin) / 1000 / step > MAX_STEPS:
            raise SettingsError(
                f"--from {request.begin} --to {request.end} --step {request.step}: the end must "
                f"come after the beginning, with at most {MAX_STEPS} steps between"
            )
        yield (
            at,
            queries.history(
                connection, request.station, begin, end, step, request.by, model=request.model
            ),
        )


def _require_known(connection: Connection, station_id: str) -> None:
    if queries.is_known(connection, station_id):
        return
    known = queries.station_ids(connection)
    names = ", ".join(known[:_NAMED]) + (" and others" if len(known) > _NAMED else "")
    raise SettingsError(
        f"there is no station or stream {station_id!r} in the history; it has {names or 'none yet'}"
    )


def _as_dict(step: Step, at: ZoneInfo) -> dict[str, Any]:
    return {
        "begin": calendar.local_time(step.begin_ms, at),
        "end": calendar.local_time(step.end_ms, at),
        "heard_seconds": step.heard_seconds,
        "missing_chunks": step.missing_chunks,
        "level_dbfs": step.level_dbfs,
        "model": step.model,
    }


def write_json(output: TextIO, found: Iterable[Step], at: ZoneInfo) -> None:
    """Write an object a step."""
    for step in found:
        output.write(json.dumps(_as_dict(step, at) | {"shares": step.shares}) + "\n")


def wide(found: Sequence[Step], at: ZoneInfo) -> list[dict[str, Any]]:
    """Return a row a step, with a column a share."""
    names = sorted({name for step in found for name in step.shares})
    return [
        _as_dict(step, at) | {name: step.shares.get(name, 0.0) for name in names} for step in found
    ]


def write_csv(output: TextIO, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with a line of names."""
    writer = csv.DictWriter(output, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as one table.

    Raises
    ------
    SettingsError
        pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise SettingsError("Parquet needs one more package: pip install pyarrow") from error
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)


def print_table(station: str, found: Sequence[Step], at: ZoneInfo) -> None:
    """Print steps for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{station}, by the clock of {at.key}", title_justify="left")
    for name in ("from", "heard", "level", "shares"):
        table.add_column(name, justify="right" if name in ("heard", "level") else "left")
    for step in found:
        shares = "  ".join(f"{name} {100 * share:.0f}%" for name, share in step.shares.items())
        level = "" if step.level_dbfs is None else f"{step.level_dbfs:.0f} dB"
        heard = f"{100_000 * step.heard_seconds / (step.end_ms - step.begin_ms):.0f}%"
        moment = datetime.fromtimestamp(step.begin_ms / 1000, at)
        table.add_row(f"{moment:%Y-%m-%d %H:%M %Z}", heard, level, shares or "not heard")
    Console().print(table, markup=False)


def export(
    settings: Settings, name: str, station: str | None, begin: str, end: str, output: Path
) -> int:
    """Write the rows of a table; return their number.

    Raises
    ------
    SettingsError
        The file's name has no format that we write.
    """
    if output.suffix not in (".csv", ".jsonl", ".parquet"):
        raise SettingsError(f"{output}: name a file that ends in .csv, .jsonl or .parquet")
    utc, now = ZoneInfo("UTC"), datetime.now(UTC)
    span = calendar.parse_moment(begin, utc, now), calendar.parse_moment(end, utc, now)
    with reading(settings) as connection:
        rows = _export_rows(connection, name, station, *span)
        if output.suffix == ".parquet":
            found = list(rows)
            write_parquet(output, found)
            return len(found)
        with output.open("w", encoding="utf-8", newline="") as file:
            return _write_rows(file, rows, as_csv=output.suffix == ".csv")


def _export_rows(
    connection: Connection, name: str, station: str | None, begin_ms: int, end_ms: int
) -> Iterator[dict[str, Any]]:
    table = RETAINED[name]
    moment = table.c.at_ms if "at_ms" in table.c else table.c.began_ms
    statement = select(table).where(moment >= begin_ms, moment < end_ms)
    if station is not None:
        statement = statement.where(table.c.station_id == station)
    rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
        statement.order_by(table.c.station_id, moment)
    )
    for row in rows.mappings():
        yield {key: _exported(key, value) for key, value in row.items()}


def _exported(key: str, value: Any) -> Any:
    if key.endswith("_ms") and value is not None:
        return to_time(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def _write_rows(file: TextIO, rows: Iterable[dict[str, Any]], *, as_csv: bool) -> int:
    written = 0
    for row in rows:
        if not as_csv:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        elif not written:
            write_csv(file, [row])
        else:
            csv.DictWriter(file, fieldnames=list(row)).writerow(row)
        written += 1
    return written


def day_report(settings: Settings, station_id: str, day: str) -> tuple[date, str]:
    """Return a day and the page about it.

    Raises
    ------
    SettingsError
        The day is none, or nothing is known of the station.
    """
    now = datetime.now(UTC)
    with reading(settings) as connection:
        _require_known(connection, station_id)
        station = queries.station(connection, station_id)
        chosen = calendar.parse_day(day, station.zone, now)
        begin, end = calendar.day_span(chosen, station.zone)
        labels, content = (
            queries.history(connection, station_id, begin, end, 60, by)
            for by in ("label", "content")
        )
        page = report(
            Day(
                station_id=station_id,
                name=station.name,
                zone=station.zone,
                begin_ms=begin,
                end_ms=end,
                labels=labels,
                content=content,
                segments=queries.segments(connection, station_id, begin, end),
                events=queries.events(connection, station_id, begin, end),
                now_ms=round(now.timestamp() * 1000),
            )
        )
    return chosen, page
