from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, make_url, select

from services.recorder.database import connect
from services.recorder.recording import Outcome, Recording
from services.recorder.tables import METADATA


@dataclass
class Message:
    """What the recorder needs of a record."""

    value: bytes | None
    timestamp: int = 1_767_225_600_000


@dataclass
class Database:
    """A database with the newest schema."""

    url: URL
    recording: Recording

    def record(self, *messages: tuple[str, bytes | None]) -> Outcome:
        return self.recording.record([(kind, Message(value)) for kind, value in messages])

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.reading() as connection:
            found = METADATA.tables[table]
            rows = connection.execute(select(found).order_by(*found.primary_key)).mappings()
            return [dict(row) for row in rows]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        engine = connect(self.url, write=False)
        with engine.connect() as connection:
            yield connection
        engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = make_url(f"sqlite+pysqlite:///{tmp_path}/history.db")
    recording = Recording(url, {"windows": 0})
    recording.prepare()
    yield Database(url, recording)
    recording.close()
