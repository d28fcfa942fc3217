"""A log of stations, and the rows that a database must hold after it: no more and no less."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from schemas.errors import InputError
from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.recorder.agent import kinds_of_topics
from services.recorder.rows import MINUTE, Rows, hours_of, read_row, spans
from services.settings import Settings
from tests.broker.harness import Message, send
from tests.recorder.conftest import Database
from tests.recorder.messages import START_MS, event, prediction, segment

_WINDOWS_A_SEGMENT = 100
_PORTION = 20_000


@dataclass
class Expected:
    """Rows by the log, and how many of its messages are none."""

    rows: Rows = field(default_factory=Rows)
    dead: int = 0


def write_log(settings: Settings, stations: int, windows: int) -> None:
    """Write what stations send in so many windows, every hundredth message twice."""
    messages: list[Message] = []
    for number, message in enumerate(_log(stations, windows)):
        messages += [message] * (2 if number % 100 == 0 else 1)
        if len(messages) > _PORTION:
            asyncio.run(send(settings, messages, linger_ms=20))
            messages.clear()
    asyncio.run(send(settings, messages, linger_ms=20))


def _log(stations: int, windows: int) -> Iterator[Message]:
    for index in range(windows):
        for n in range(stations):
            name, key = f"s{n}", f"s{n}".encode()
            yield Message(prediction(name, index), key, topic="genre.predictions")
            if index % _WINDOWS_A_SEGMENT == 0:
                at = START_MS + 3000 * index
                yield Message(segment(name, index), key, topic="genre.segments")
                yield Message(
                    event(name, "title", at, title=f"🎷 {index}"), key, topic="station.events"
                )
        if index % _WINDOWS_A_SEGMENT == 0:
            yield Message(b"junk", b"s0", topic="station.events")


async def read_log(settings: Settings) -> Expected:
    """Read the topics, and make of them what must be in the database."""
    kinds = kinds_of_topics(Topics(settings.topic_prefix))
    expected = Expected()
    async with reading(settings, list(kinds), from_beginning=True) as reader:
        async for record in reader.messages_so_far():
            try:
                row = read_row(kinds[record.topic], record.value, record.timestamp)
            except InputError:
                expected.dead += 1
            else:
                if row:
                    expected.rows.add(*row)
    return expected


def compare(database: Database, expected: Expected) -> None:
    """Compare tables with the log: each event once, and the sums of minutes and hours."""
    for table, found in (
        ("windows", expected.rows.windows),
        ("segments", expected.rows.segments),
        ("station_events", expected.rows.events),
    ):
        _same_rows(database, table, found)
    minutes = spans(expected.rows.windows.values(), MINUTE)
    for table, sums in (("minutes", minutes), ("hours", hours_of(minutes))):
        with database.reading() as connection:
            rows = connection.execute(select(_table(table))).mappings()
            held = {(row["station_id"], row["model"], row["began_ms"]): row for row in rows}
        assert held.keys() == sums.keys(), table
        for key, span in sums.items():
            for name in ("heard_seconds", "missing_chunks", "level_seconds", "labels", "content"):
                assert held[key][name] == getattr(span, name), (table, key, name)


def _same_rows(database: Database, table: str, expected: dict[str, dict[str, Any]]) -> None:
    with database.reading() as connection:
        held = {
            row["event_id"]: row for row in connection.execute(select(_table(table))).mappings()
        }
    missing, foreign = expected.keys() - held.keys(), held.keys() - expected.keys()
    assert not missing, (table, len(missing), sorted(missing)[:3])
    assert not foreign, (table, len(foreign), sorted(foreign)[:3])
    for key, row in expected.items():
        assert {name: held[key][name] for name in row} == row


def _table(name: str) -> Any:
    from services.recorder.tables import METADATA

    return METADATA.tables[name]
