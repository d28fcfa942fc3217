"""The recorder's database: predictions a second, and queries over a year of many stations.

``python -m benchmarks.history --stations 200 --messages 60000 --days 365``

Both on SQLite in a folder of its own and on Debian's PostgreSQL, where it is installed. Hours and
minutes, of which a year of 200 stations has 105 million, are generated: for PostgreSQL in the order
in which a recorder writes them, all stations of a minute, then the next minute; for SQLite, whose
tables lie in the order of their keys anyway, by station. That takes 20 GB of disk and, on a core
that has nothing else to do, some ten minutes for each database; ``--minute-days 31`` takes less.
"""

import argparse
import gc
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec.structs import replace
from sqlalchemy import URL, Connection, create_engine, make_url, text

from benchmarks.postgres import PostgresUnavailable, postgres
from benchmarks.report import FOLDER, machine, show, write
from schemas import GenrePrediction, Now, encode_event, to_time
from schemas.examples import EXAMPLE_PREDICTION
from services.recorder.agent import MAX_RECORDS
from services.recorder.database import connect
from services.recorder.queries import history, span_query
from services.recorder.recording import Message, Recording
from services.recorder.rows import HOUR, MINUTE
from services.recorder.writing import DAY_MS

_QUERIES: Final = 60
START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
_LABELS: Final = ("jazz", "rock", "speech", "silence")


@dataclass
class Record:
    """What a recorder needs of a record."""

    value: bytes | None
    timestamp: int = START_MS


def prediction(station: str, index: int) -> bytes:
    """Return window `index` of a station, 3 s each; its label changes each 100 windows."""
    heard_at = to_time(START_MS + 3000 * index)
    label = _LABELS[index // 100 % len(_LABELS)]
    made: GenrePrediction = replace(
        EXAMPLE_PREDICTION,
        event_id=f"audio.chunks/0/{station}/musicnn-200/{index}/a-model",
        stream_id=station,
        window_index=index,
        start_seconds=3.0 * index,
        end_seconds=3.0 * index + 3,
        heard_at=heard_at,
        now=Now(label, 0.9, {}, heard_at),
    )
    return encode_event(made)


def databases(resources: ExitStack) -> Iterator[URL]:
    """Yield the addresses of empty databases."""
    folder = resources.enter_context(tempfile.TemporaryDirectory())
    yield make_url(f"sqlite+pysqlite:///{folder}/history.db")
    try:
        server = resources.enter_context(postgres())
    except PostgresUnavailable as reason:
        sys.stderr.write(f"{reason}\n")
        return
    yield make_url(server.url).set(drivername="postgresql+psycopg")


def throughput(url: URL, stations: int, count: int) -> dict[str, float]:
    """Record predictions of many stations in the recorder's own batches."""
    recording = Recording(url, {})
    recording.prepare()
    taken = 0.0
    memory: list[float] = []
    for batch in _batches(stations, count):
        began = time.perf_counter()
        recording.record(batch)
        taken += time.perf_counter() - began
        memory.append(_resident_mb())
    recording.close()
    return {
        "predictions_per_second": round(count / taken),
        "rss_mb_after_a_fifth": round(memory[len(memory) // 5], 1),
        "rss_mb_at_the_end": round(memory[-1], 1),
    }


def _batches(stations: int, count: int) -> Iterator[list[tuple[str, Message]]]:
    """Yield what stations send, a window each in turn."""
    batch: list[tuple[str, Message]] = []
    for number in range(count):
        index, station = divmod(number, stations)
        batch.append(("predictions", Record(prediction(f"live-{station}", index))))
        if len(batch) == MAX_RECORDS:
            yield batch
            batch = []
    if batch:
        yield batch


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def fill(url: URL, stations: int, days: int, minute_days: int) -> dict[str, int]:
    """Generate the sums of a time that ends at `START_MS`; return the rows of each table."""
    engine = create_engine(url)  # the recorder's own begins transactions by itself
    counts = {"hours": 24 * days, "minutes": 1440 * minute_days}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_postgres = connection.dialect.name == "postgresql"
        for table, count in counts.items():
            for statement in _AHEAD[connection.dialect.name]:
                connection.exec_driver_sql(statement.format(table=table))
            portion = _PORTION if is_postgres else count
            for first in range(0, count, portion):
                _fill(connection, table, stations, first - count, min(portion, count - first))
            if is_postgres:
                key = f"ALTER TABLE {table} ADD PRIMARY KEY (station_id, began_ms, model)"
                connection.exec_driver_sql(key)
        connection.exec_driver_sql("VACUUM ANALYZE" if is_postgres else "ANALYZE")
    engine.dispose()
    return {table: stations * count for table, count in counts.items()}


#: Steps of time that one statement generates.
_PORTION: Final = 14_400
#: What makes it bearable to generate so much; what is there at the end is the same.
_AHEAD: Final = {
    "sqlite": (
        *("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-200000"),
    ),
    "postgresql": (
        "ALTER TABLE {table} SET UNLOGGED",
        "ALTER TABLE {table} DROP CONSTRAINT {table}_pkey",
        "SET maintenance_work_mem = '512MB'",
    ),
}


def _fill(connection: Connection, table: str, stations: int, first: int, count: int) -> None:
    """Generate steps of all stations, numbered from `START_MS`: those before it are negative."""
    length = HOUR if table == "hours" else MINUTE
    is_postgres = connection.dialect.name == "postgresql"
    json = "::json" if is_postgres else ""
    numbers = (
        "SELECT n FROM generate_series(0, :last) AS n"
        if is_postgres
        else "WITH RECURSIVE up(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM up WHERE n < :last) "
        "SELECT n FROM up"
    )
    seconds = length / 1000
    labels = " ".join(
        f'WHEN {n} THEN \'{{"{label}": {0.7 * seconds:g}, "pop": {0.3 * seconds:g}}}\'{json}'
        for n, label in enumerate(_LABELS)
    )
    step, station = ("n / :size", "n % :size") if is_postgres else ("n % :size", "n / :size")
    statement = f"""
        INSERT INTO {table} (station_id, began_ms, model, heard_seconds, missing_chunks, energy,
                             level_seconds, labels, content, recorded_ms)
        SELECT 's' || ({station}), :began + {length} * CAST({step} AS BIGINT),
               'lda-musicnn-200', {seconds}, 0, 0.6, {seconds},
               CASE ({step} + {station}) / 5 % {len(_LABELS)} {labels} END,
               '{{"music": {seconds}}}'{json}, :began
        FROM ({numbers}) AS numbers"""  # noqa: S608 - all of it is ours
    values = {
        "last": stations * count - 1,
        "size": stations if is_postgres else count,
        "began": START_MS + length * first,
    }
    connection.execute(text(statement), values)


def questions(
    days: int, minute_days: int
) -> dict[str, tuple[int, int, Callable[[random.Random], int]]]:
    """Return what is asked: days, seconds of a step, and the day before `START_MS` it begins on."""
    return {
        "a day by the hour": (1, 3600, lambda chance: chance.randint(1, days)),
        "a day by the minute": (1, 60, lambda chance: chance.randint(1, minute_days)),
        "a month by the hour": (30, 3600, lambda chance: chance.randint(30, days)),
        "a month by the day": (30, 86_400, lambda chance: chance.randint(30, days)),
    }


def ask(url: URL, stations: int, days: int, minute_days: int) -> dict[str, dict[str, Any]]:
    """Time each question over random stations and times, and show the plan."""
    engine, chance = connect(url, write=False), random.Random(0)
    found = {}
    gc.collect()
    gc.freeze()  # as the gateway does at its start
    with engine.connect() as connection:
        for name, (length, step, pick) in questions(days, minute_days).items():
            times = []
            for _ in range(_QUERIES):
                begin = START_MS - DAY_MS * pick(chance)
                span = begin, begin + DAY_MS * length
                station = f"s{chance.randrange(stations)}"
                began = time.perf_counter()
                steps = history(connection, station, *span, step)
                times.append(1000 * (time.perf_counter() - began))
                assert steps[0].heard_seconds, (name, station, span)
            found[name] = {
                "p50_ms": round(float(np.median(times)), 1),
                "worst_ms": round(max(times), 1),
                "plan": plan(connection, station, *span, step),
            }
    engine.dispose()
    return found


def plan(connection: Connection, station: str, begin_ms: int, end_ms: int, step: int) -> str:
    """Return how the database answers, in one line.

    Raises
    ------
    AssertionError
        It reads a whole table.
    """
    query = span_query([(begin_ms, begin_ms + 1000 * step), (begin_ms, end_ms)], station)
    compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    rows = connection.exec_driver_sql(f"{explain} {str(compiled).replace('%', '%%')}").all()
    lines = [str(row[-1]).strip() for row in rows]
    assert any("PRIMARY KEY" in line or "_pkey" in line for line in lines), lines
    return "; ".join(lines)


def main() -> None:
    """Measure, print the figures and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("stations", 200), ("messages", 60_000), ("days", 365)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--minute-days", type=int, default=365)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="that one alone")
    given, before = parser.parse_args(), machine()
    figures: dict[str, Any] = {}
    with ExitStack() as resources:
        for url in databases(resources):
            name = url.get_backend_name()
            if given.database not in (None, name):
                continue
            figures[name] = throughput(url, given.stations, given.messages)
            figures[name]["rows"] = fill(url, given.stations, given.days, given.minute_days)
            figures[name]["queries"] = ask(url, given.stations, given.days, given.minute_days)
            _show(name, figures[name])
    name = f"history-{given.database}.json" if given.database else "history.json"
    write(FOLDER / name, before, figures)


def _show(name: str, found: dict[str, Any]) -> None:
    facts = {key: value for key, value in found.items() if key != "queries"}
    show(name, ("figure", "value"), [(key, str(value)) for key, value in facts.items()])
    for question, answer in found["queries"].items():
        row = (question, str(answer["p50_ms"]), str(answer["worst_ms"]))
        show("", ("question", "p50 ms", "worst ms"), [row])
        sys.stdout.write(f"  {answer['plan']}\n")


if __name__ == "__main__":
    main()
