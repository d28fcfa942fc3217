"""The recorder on Debian's PostgreSQL: the same rows, whoever dies, and clear errors."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, make_url, text

from benchmarks.postgres import Postgres
from services.console.stack import start_worker, stop_workers, worker_environment
from services.recorder.database import DatabaseError, connect
from services.recorder.recording import Recording
from services.recorder.schema import bring_up_to_date
from services.recorder.tables import METADATA, MINUTES
from tests.broker.harness import Message, fresh_settings, send
from tests.broker.shell import wait_until
from tests.recorder.conftest import Database
from tests.recorder.messages import START_MS, event, prediction

pytestmark = pytest.mark.history


def _database(url: str) -> Database:
    recording = Recording(make_url(url), {})
    recording.prepare()
    return Database(make_url(url), recording)


def test_two_recorders_add_to_the_same_minutes(url: str) -> None:
    first, second = _database(url), _database(url)
    messages = [("predictions", prediction("s", i)) for i in range(400)]

    def record(database: Database, offset: int) -> None:
        for i in range(offset, 400, 2):
            database.record(messages[i], messages[i - 1])

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(record, first, 0), pool.submit(record, second, 1)]:
            done.result()
    assert len(first.rows("windows")) == 400
    assert [row["heard_seconds"] for row in first.rows("minutes")] == [60.0] * 20
    for database in (first, second):
        database.recording.close()


def test_two_that_start_at_once_and_the_newest_schema(url: str) -> None:
    barrier = threading.Barrier(3)

    def start() -> str:
        barrier.wait()
        return bring_up_to_date(make_url(url))

    with ThreadPoolExecutor(3) as pool:
        assert {done.result() for done in [pool.submit(start) for _ in range(3)]} == {"0002"}
    engine = connect(make_url(url), write=True)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_from_the_first_schema_with_data(url: str) -> None:
    bring_up_to_date(make_url(url), "0001")
    engine = connect(make_url(url), write=True)
    row = {
        "station_id": "s", "model": "m", "heard_seconds": 60.0, "missing_chunks": 1, "energy": 0.6,
        "level_seconds": 60.0, "labels": {"jazz": 60.0}, "content": {"music": 60.0},
        "recorded_ms": START_MS,
    }  # fmt: skip
    with engine.begin() as connection:
        rows = [row | {"began_ms": START_MS + 60_000 * minute} for minute in range(90)]
        connection.execute(insert(MINUTES), rows)
    engine.dispose()
    database = _database(url)
    assert [row["labels"] for row in database.rows("hours")] == [{"jazz": 3600.0}, {"jazz": 1800.0}]
    database.recording.close()


def test_wrong_password_and_wrong_schema(url: str) -> None:
    with pytest.raises(DatabaseError, match="check user and password") as refused:
        Recording(make_url(url).set(password="hush-hush"), {}).prepare()  # noqa: S106
    assert "hush-hush" not in str(refused.value)
    database = _database(url)
    with database.recording._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"schema 9999.*upgrade genrestream"):
        database.recording.prepare()
    database.recording.close()


def test_a_read_only_database(url: str) -> None:
    database = _database(url)
    with database.recording._engine.begin() as connection:
        name = make_url(url).database
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    database.recording.close()
    database.recording._engine = connect(make_url(url), write=True)
    with pytest.raises(DatabaseError, match="make it writable"):
        database.record(("predictions", prediction("s", 0)))
    database.recording.close()


def test_nul_and_emoji(url: str) -> None:
    database = _database(url)
    outcome = database.record(("events", event("s", "title", START_MS, title="a\x00🎷")))
    assert not outcome.refused
    assert database.rows("station_events")[0]["title"] == "a�🎷"
    database.recording.close()


@pytest.mark.timeout(300)
def test_rows_equal_topics_while_recorder_and_database_die(
    brokers: str, url: str, server: Postgres
) -> None:
    settings = fresh_settings(brokers, "history.", database_url=url)
    environment = worker_environment(settings)
    workers = {"recorder": start_worker("recorder", environment)}
    made = 0
    database = None
    try:
        for part in range(4):
            messages = [
                Message(prediction(f"s{n}", i), f"s{n}".encode(), topic="genre.predictions")
                for i in range(100 * part, 100 * part + 100)
                for n in range(10)
            ]
            asyncio.run(send(settings, messages, linger_ms=5))
            server.stop()
            workers["recorder"].kill() if part % 2 else None
            server.start()
            if part % 2:
                workers["recorder"].wait()
                workers["recorder"] = start_worker("recorder", environment)
            made += len(messages)
        database = _database(url)
        wait_until(lambda: len(database.rows("windows")) == made, 120)
        assert workers["recorder"].poll() is None
    finally:
        stop_workers(workers)
    assert sum(row["heard_seconds"] for row in database.rows("minutes")) == 3.0 * made
    assert sum(row["heard_seconds"] for row in database.rows("hours")) == 3.0 * made
    database.recording.close()
