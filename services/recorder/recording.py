"""Batches into the database: a transaction a batch, and what no database takes set apart."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DataError, SQLAlchemyError

from schemas.errors import InputError, MessageError, SettingsError
from services.recorder.database import connect, explain
from services.recorder.queries import station_ids
from services.recorder.rows import MINUTE, Row, Rows, read_row
from services.recorder.schema import bring_up_to_date, require_schema
from services.recorder.tables import RETAINED
from services.recorder.writing import DAY_MS, Written, delete_old, write

logger = logging.getLogger(__name__)

#: In days; 0 is for ever.
RETENTION_DAYS: Final = {
    "windows": 2.0,
    "minutes": 400.0,
    "hours": 0.0,
    "segments": 400.0,
    "station_events": 400.0,
}


class Message(Protocol):
    """What is needed of a Kafka record."""

    value: bytes | None
    timestamp: int


#: A message, and its row in the table of that name.
Read = tuple[Message, str, Row]


@dataclass
class Outcome:
    """What became of a batch.

    Attributes
    ----------
    rows
        Rows written, those that were there already among them.
    new_windows, sealed_windows
        As in `Written`.
    refused
        Messages that no row can hold, and why.
    """

    rows: int = 0
    new_windows: int = 0
    sealed_windows: int = 0
    refused: list[tuple[Any, InputError]] = field(default_factory=list)

    def count(self, rows: Rows, written: Written) -> None:
        """Count a transaction."""
        self.rows += len(rows)
        self.new_windows += written.new_windows
        self.sealed_windows += written.sealed_windows


class Recording:
    """Writes batches; used by one thread at a time.

    Parameters
    ----------
    url
        Of the database.
    retention_days
        By table, where it is not the default.
    """

    def __init__(self, url: URL, retention_days: Mapping[str, float]) -> None:
        unknown = sorted(set(retention_days) - set(RETENTION_DAYS))
        if unknown or any(days < 0 for days in retention_days.values()):
            raise SettingsError(
                f"GENRESTREAM_RETENTION_DAYS={dict(retention_days)}: give days, 0 for ever, to "
                f"{', '.join(RETENTION_DAYS)}"
            )
        self._url = url
        self._retention = {**RETENTION_DAYS, **retention_days}
        self._engine: Engine = connect(url, write=True)

    def prepare(self) -> None:
        """Bring the schema up to date.

        Raises
        ------
        DatabaseError
            The database cannot be used.
        """
        bring_up_to_date(self._url)

    def record(self, kinds: Sequence[tuple[str, Message]]) -> Outcome:
        """Write messages in a transaction, which is committed when this returns.

        Parameters
        ----------
        kinds
            Each message, after what its topic holds.

        Raises
        ------
        DatabaseError
            The database does not take them now; nothing is written.
        """
        outcome = Outcome()
        found = _read(kinds, outcome)
        try:
            self._record(found, outcome)
        except (SQLAlchemyError, OSError) as error:
            raise explain(error, self._url) from error
        return outcome

    def _record(self, found: Sequence[Read], outcome: Outcome) -> None:
        """Write messages; those that the database refuses by their values are found by halving."""
        if not found:
            return
        rows = Rows()
        for _, table, row in found:
            rows.add(table, row)
        try:
            outcome.count(rows, self._write(rows))
        except (DataError, OverflowError) as error:
            if len(found) == 1:
                reason = " ".join(str(getattr(error, "orig", error)).split())[:300]
                outcome.refused.append((found[0][0], MessageError(f"no row holds it: {reason}")))
                return
            half = len(found) // 2
            self._record(found[:half], outcome)
            self._record(found[half:], outcome)

    def _write(self, rows: Rows) -> Written:
        now_ms = round(time.time() * 1000)
        with self._engine.begin() as connection:
            return write(connection, rows, now_ms, self._before("windows", now_ms, MINUTE))

    def _before(self, table: str, now_ms: int, margin_ms: int = 0) -> int:
        days = self._retention[table]
        return max(0, now_ms - round(days * DAY_MS) + margin_ms) if days else 0

    def check(self) -> None:
        """Refuse a schema that another release has changed meanwhile.

        Raises
        ------
        DatabaseError
            It has, or the database does not answer.
        """
        try:
            with self._engine.begin() as connection:
                require_schema(connection, self._url)
        except (SQLAlchemyError, OSError) as error:
            raise explain(error, self._url) from error

    def delete_old(self) -> dict[str, int]:
        """Delete what is older than it is kept; return the number of rows by table.

        Raises
        ------
        DatabaseError
            The database does not answer.
        """
        now_ms = round(time.time() * 1000)
        try:
            return {table: self._delete(table, self._before(table, now_ms)) for table in RETAINED}
        except (SQLAlchemyError, OSError) as error:
            raise explain(error, self._url) from error

    def _delete(self, table: str, before_ms: int) -> int:
        """Delete in short transactions: a station, or some thousand rows, at a time."""
        if not before_ms:
            return 0
        if table in ("minutes", "hours"):
            with self._engine.begin() as connection:
                stations = station_ids(connection)
            return sum(self._delete_some(table, before_ms, station) for station in stations)
        total = 0
        while deleted := self._delete_some(table, before_ms):
            total += deleted
        return total

    def _delete_some(self, table: str, before_ms: int, station_id: str | None = None) -> int:
        with self._engine.begin() as connection:
            return delete_old(connection, table, before_ms, station_id)

    def close(self) -> None:
        """Disconnect."""
        self._engine.dispose()


def _read(kinds: Iterable[tuple[str, Message]], outcome: Outcome) -> list[Read]:
    """Read messages; those that are none go to the refused."""
    found = []
    for kind, message in kinds:
        try:
            row = read_row(kind, message.value, message.timestamp)
        except InputError as error:
            outcome.refused.append((message, error))
        else:
            if row:
                found.append((message, *row))
    return found
