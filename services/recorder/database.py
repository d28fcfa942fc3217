"""Connecting to the database, and saying in one line what is wrong with it."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec.json import decode as read_json
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from schemas.errors import GenrestreamError, SettingsError
from services.settings import Settings

#: How long a writer of SQLite waits for another one.
BUSY_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10
_DRIVERS: Final = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite+pysqlite",
}
#: What a database says, and what to do about it.
_REMEDIES: Final = (
    ("password authentication failed", "check user and password in GENRESTREAM_DATABASE_URL"),
    ("no password supplied", "give a password in GENRESTREAM_DATABASE_URL"),
    ("does not exist", "create it, or correct GENRESTREAM_DATABASE_URL"),
    ("permission denied", "grant its user the right to write"),
    ("read-only", "make it writable for this user"),
    ("readonly database", "make the file and its folder writable for this user"),
    ("unable to open database file", "create its folder, and make it writable for this user"),
    ("database or disk is full", "make room on its disk"),
    ("no space left", "make room on its disk"),
    ("disk i/o error", "look at its disk: it may be full, or gone"),
    ("file is not a database", "name another file in GENRESTREAM_DATABASE_URL"),
    ("malformed", "restore the file from a copy"),
    ("locked", "another program writes to it for long: stop that"),
    ("connection", "start it, or correct GENRESTREAM_DATABASE_URL"),
)


class DatabaseError(GenrestreamError):
    """The database does not do what we ask: one line with the reason and the remedy."""

    code = "database"


def database_url(settings: Settings) -> URL:
    """Return the address of the database.

    Raises
    ------
    SettingsError
        It is none, or of a database that is not supported.
    """
    secret = settings.database_url
    text = secret.get_secret_value() if secret else f"sqlite:///{default_path()}"
    try:
        url = make_url(text)
        driver = _DRIVERS[url.drivername]
    except (ArgumentError, KeyError, ValueError) as error:
        raise SettingsError(
            "GENRESTREAM_DATABASE_URL is no address of a database: write "
            "postgresql://user:password@host/name or sqlite:///folder/file.db"
        ) from error
    return url.set(drivername=driver)


def default_path() -> Path:
    """Return the file of the default database, in the user's folder of data (XDG)."""
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local/share") / "genrestream" / "history.db"


def shown(url: URL) -> str:
    """Write the address of a database without its password."""
    return url.database or "memory" if is_sqlite(url) else url.render_as_string(hide_password=True)


def is_sqlite(url: URL) -> bool:
    """Tell whether it is a file of SQLite."""
    return url.get_backend_name() == "sqlite"


def connect(url: URL, *, write: bool) -> Engine:
    """Return an engine; nothing is connected yet.

    Parameters
    ----------
    url
        Of the database.
    write
        Whether transactions of SQLite take the lock for writing at once, and create the file.
    """
    try:
        if is_sqlite(url):
            return _connect_sqlite(url, write=write)
        arguments = {"connect_timeout": _CONNECT_SECONDS, "application_name": "genrestream"}
        return create_engine(
            url,
            pool_size=2,
            pool_pre_ping=True,
            connect_args=arguments,
            json_deserializer=read_json,
        )
    except (ImportError, NoSuchModuleError) as error:
        raise SettingsError(
            f"{url.get_backend_name()} needs a driver that is not installed: "
            "pip install 'genrestream[history]'"
        ) from error


def _connect_sqlite(url: URL, *, write: bool) -> Engine:
    if not write and url.database and not Path(url.database).exists():
        raise DatabaseError(
            f"there is no database {url.database}: genrestream worker recorder makes it, and "
            "GENRESTREAM_DATABASE_URL names another one"
        )
    if write and url.database == str(default_path()):
        default_path().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        json_deserializer=read_json,  # thrice as fast as Python's
    )
    event.listen(engine, "connect", partial(_prepare_sqlite, write=write))
    event.listen(engine, "begin", partial(_begin_sqlite, write=write))
    return engine


def _prepare_sqlite(connection: Any, _: Any, *, write: bool) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says so
    if write:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # a commit survives a loss of power


def _begin_sqlite(connection: Any, *, write: bool) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def explain(error: Exception, url: URL) -> DatabaseError:
    """Say what is wrong in one line, without the password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = " ".join(str(cause).split())
    with suppress(TypeError):
        text = text.replace(str(url.password), "**********") if url.password else text
    lowered = text.lower()
    remedy = next((advice for sign, advice in _REMEDIES if sign in lowered), "see its log")
    return DatabaseError(f"the database {shown(url)} fails: {text[:300]}; {remedy}")
