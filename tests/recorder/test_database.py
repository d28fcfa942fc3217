"""SQLite's own troubles: one clear line each, and nothing is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from schemas.errors import SettingsError
from services.recorder.database import DatabaseError, connect, database_url
from services.recorder.recording import Recording
from services.settings import load_settings
from tests.recorder.conftest import Database
from tests.recorder.messages import prediction


def test_a_full_disk_and_room_again(database: Database) -> None:
    """SQLite refuses pages beyond its limit as it does on a full disk."""
    engine = database.recording._engine
    messages = [("predictions", prediction("s", i)) for i in range(2000)]
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseError, match="full; make room"):
        database.record(*messages)
    assert database.rows("windows") == []
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert database.record(*messages).new_windows == 2000


def test_a_read_only_database(database: Database) -> None:
    with database.recording._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = on")
    with pytest.raises(DatabaseError, match="make the file and its folder writable"):
        database.record(("predictions", prediction("s", 0)))


def test_a_schema_of_a_newer_release(database: Database) -> None:
    with closing(sqlite3.connect(str(database.url.database))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(DatabaseError, match=r"schema 9999.*upgrade genrestream"):
        database.recording.prepare()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("this is no database, " * 100)
    with pytest.raises(DatabaseError, match="name another file"):
        Recording(make_url(f"sqlite+pysqlite:///{path}"), {}).prepare()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="create its folder"):
        Recording(make_url(f"sqlite+pysqlite:///{tmp_path}/no/x.db"), {}).prepare()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="there is no database"):
        connect(make_url(f"sqlite+pysqlite:///{tmp_path}/x.db"), write=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://u:hush@h/d", "nonsense", "postgresql://u:hush@h:port/d"])
def test_an_address_of_none(url: str) -> None:
    with pytest.raises(SettingsError, match="GENRESTREAM_DATABASE_URL") as error:
        database_url(load_settings(database_url=url))
    assert "hush" not in str(error.value)


def test_retention_names_tables(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GENRESTREAM_RETENTION_DAYS"):
        Recording(make_url(f"sqlite+pysqlite:///{tmp_path}/x.db"), {"widows": 1})
