"""Rows equal topics: whoever is killed, each event is in the database once, and none is missing.

``make test-history HISTORY="--history-stations 60 --history-hours 6 --history-kills 10"`` is the
full size.
"""

import asyncio
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.postgres import Postgres
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.recorder.recording import Recording
from services.recorder.rows import Rows
from services.recorder.tables import HOURS, SEGMENTS, STATION_EVENTS, WINDOWS
from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.conftest import kafka_of_our_own
from tests.faults.brokers import Broker
from tests.history.exact import compare, read_log, write_log
from tests.recorder.conftest import Database

_DEADLINE_SECONDS = 120.0
logger = logging.getLogger(__name__)
pytestmark = [pytest.mark.history, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = kafka_of_our_own(tmp_path_factory)
    yield broker
    broker.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Postgres | None]:
    """Return the address of an empty database, and its server if it has one."""
    if request.param == "sqlite":
        return f"sqlite+pysqlite:///{tmp_path}/history.db", None
    return request.getfixturevalue("url"), request.getfixturevalue("server")


class Recorder:
    """The recorder's process, which may be killed."""

    def __init__(self, settings: Settings) -> None:
        self._environment = worker_environment(settings)
        self.process: subprocess.Popen[bytes] = start_worker("recorder", self._environment)

    def watch(self) -> None:
        """Start it anew where it ended, as a supervisor does: at a start it needs its broker."""
        if self.process.poll() is not None:
            self.process = start_worker("recorder", self._environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.watch()


def test_rows_equal_topics(
    request: pytest.FixtureRequest, kafka: Broker, place: tuple[str, Postgres | None]
) -> None:
    stations, hours, kills = (
        request.config.getoption(f"--history-{name}") for name in ("stations", "hours", "kills")
    )
    url, server = place
    windows = round(1200 * hours)
    settings = fresh_settings(
        kafka.address,
        "exact.",
        database_url=url.replace("+pysqlite", ""),
        retention_days={"windows": 0},
    )
    write_log(settings, stations, windows)
    expected = asyncio.run(read_log(settings))
    assert len(expected.rows.windows) == stations * windows
    recording = Recording(make_url(url), {})
    recording.prepare()
    database = Database(make_url(url), recording)
    recorder = Recorder(settings)
    began = time.monotonic()
    try:
        for goal, kill in _plan(
            _victims(recorder, kafka, server), kills, len(expected.rows.windows)
        ):
            _wait(recorder, partial(_has_heard, database, 3.0 * goal))
            kill()
        _wait(recorder, partial(_holds, database, expected.rows))
        took = time.monotonic() - began
    finally:
        stop_workers({"recorder": recorder.process})
    compare(database, expected)
    recording.close()
    letters = asyncio.run(_count_letters(settings))
    assert letters >= expected.dead > 0
    logger.info(
        "%s: %d events in %.0f s, %d kills of each, %d dead letters for %d messages",
        make_url(url).get_backend_name(), len(expected.rows), took, kills, letters, expected.dead,
    )  # fmt: skip


def _victims(
    recorder: Recorder, kafka: Broker, server: Postgres | None
) -> dict[str, Callable[[], None]]:
    def kill_broker() -> None:
        kafka.kill()
        kafka.start()

    def kill_database() -> None:
        assert server
        server.kill()
        server.start()

    found = {"recorder": recorder.kill, "broker": kill_broker}
    # SQLite lives in the recorder: it dies with it.
    return found | {"database": kill_database if server else recorder.kill}


def _plan(
    victims: dict[str, Callable[[], None]], kills: int, windows: int
) -> Iterator[tuple[float, Callable[[], None]]]:
    """Spread so many kills of each over what is to be recorded."""
    plan = list(victims.values()) * kills
    for number, kill in enumerate(plan):
        yield windows * (number + 1) / (len(plan) + 2), kill


def _wait(recorder: Recorder, condition: Callable[[], bool]) -> None:
    """Wait for what takes a query to know."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the recorder does not go on"
        recorder.watch()
        time.sleep(0.2)


def _has_heard(database: Database, seconds: float) -> bool:
    return _heard(database) >= seconds


def _heard(database: Database) -> float:
    """Return the seconds recorded; 0 while the database is away."""
    with suppress(SQLAlchemyError), database.reading() as connection:
        return float(connection.execute(select(func.sum(HOURS.c.heard_seconds))).scalar() or 0)
    return 0.0


def _holds(database: Database, rows: Rows) -> bool:
    """Tell whether as many rows are there as there must be."""
    found = ((WINDOWS, rows.windows), (SEGMENTS, rows.segments), (STATION_EVENTS, rows.events))
    with database.reading() as connection:
        return all(
            connection.execute(select(func.count()).select_from(table)).scalar_one() == len(kept)
            for table, kept in found
        )


async def _count_letters(settings: Settings) -> int:
    letters = Topics(settings.topic_prefix).dead_letters
    async with reading(settings, [letters], from_beginning=True) as reader:
        return len([record async for record in reader.messages_so_far()])
