"""The schema of the database: made and brought up to date by one process at a time."""

import logging
from functools import cache
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import SQLAlchemyError

from services.recorder.database import DatabaseError, connect, explain, shown

# Its steps are reported by their result.
logging.getLogger("alembic").setLevel(logging.WARNING)

#: Of PostgreSQL's lock while a schema is changed: any number that nobody else takes.
_LOCK: Final = 7_302_046_119


def bring_up_to_date(url: URL, target: str = "head") -> str:
    """Create what is missing, in one transaction, and return the version.

    Of processes that do so at once, one works and the others wait: SQLite takes its lock for
    writing, PostgreSQL an advisory one.

    Raises
    ------
    DatabaseError
        The database cannot be used, or a newer release has changed it.
    """
    engine = connect(url, write=True)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            _refuse_unknown(connection, url)
            configuration = _configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, target)
            return str(_version(connection))
    except (SQLAlchemyError, OSError) as error:
        raise explain(error, url) from error
    finally:
        engine.dispose()


def require_schema(connection: Connection, url: URL) -> None:
    """Refuse a database whose schema is not this release's.

    Raises
    ------
    DatabaseError
        It is not.
    """
    _refuse_unknown(connection, url)
    version = _version(connection)
    if version != newest():
        raise DatabaseError(
            f"the database {shown(url)} has schema {version or 'none'}, this release needs "
            f"{newest()}: run genrestream history init"
        )


@cache
def newest() -> str:
    """Return the version that this release works with."""
    return str(_scripts().get_current_head())


@cache
def _known() -> frozenset[str]:
    """Return the versions that this release can bring up to date."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_unknown(connection: Connection, url: URL) -> None:
    version = _version(connection)
    if version is not None and version not in _known():
        raise DatabaseError(
            f"the database {shown(url)} has schema {version}, which this release does not know "
            f"(it knows {newest()}): upgrade genrestream, or name another database"
        )


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", "services.recorder:migrations")
    configuration.set_main_option("path_separator", "os")
    return configuration


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration())
