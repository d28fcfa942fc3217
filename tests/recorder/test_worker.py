"""A recorder on a broker, killed again and again: rows equal topics."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.console.stack import start_worker, stop_workers, worker_environment
from tests.broker.harness import Message, fresh_settings, send
from tests.broker.shell import wait_until
from tests.recorder.messages import event, prediction, segment

pytestmark = pytest.mark.broker
KILLS = 3


def _count(path: Path, table: str) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        try:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
        except sqlite3.OperationalError:
            return 0


def test_rows_equal_topics_whoever_is_killed(brokers: str, tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    settings = fresh_settings(brokers, "recorder.", database_url=f"sqlite:///{path}")
    environment = worker_environment(settings)
    made = 0
    workers = {"recorder": start_worker("recorder", environment)}
    try:
        for part in range(KILLS + 1):
            messages = [
                Message(prediction(f"s{n}", i), f"s{n}".encode(), topic="genre.predictions")
                for i in range(200 * part, 200 * part + 200)
                for n in range(6)
            ]
            asyncio.run(send(settings, messages, linger_ms=5))
            asyncio.run(send(settings, messages[:100], linger_ms=5))  # as after a crash
            if part < KILLS:
                wait_until(lambda made=made: _count(path, "windows") > made, 60)  # type: ignore[misc]
                workers["recorder"].kill()
                workers["recorder"].wait()
                workers["recorder"] = start_worker("recorder", environment)
            made += len(messages)
        others = [
            Message(segment("s0", 0), b"s0", topic="genre.segments"),
            Message(event("s0", "lost", 1), b"s0", topic="station.events"),
            Message(b"junk", b"s0", topic="station.events"),
        ]
        asyncio.run(send(settings, others))
        wait_until(lambda: _count(path, "windows") == made, 60)
        wait_until(lambda: _count(path, "station_events") == 1, 60)
    finally:
        stop_workers(workers)
    with closing(sqlite3.connect(path)) as connection:
        seconds, minutes = connection.execute(
            "SELECT sum(heard_seconds), count(*) FROM minutes"
        ).fetchone()
        (hours,) = connection.execute("SELECT sum(heard_seconds) FROM hours").fetchone()
    assert seconds == hours == 3.0 * made
    assert minutes == made // 20
