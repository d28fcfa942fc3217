"""The tables, in SQLAlchemy's terms. Times are milliseconds since 1970, UTC."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    MetaData,
    String,
    Table,
)

METADATA: Final = MetaData()


def _spans(name: str) -> Table:
    """Return a table of what was heard in each minute, or in each hour."""
    return Table(
        name,
        METADATA,
        Column("station_id", String, primary_key=True),
        Column("began_ms", BigInteger, primary_key=True, autoincrement=False),
        Column("model", String, primary_key=True),
        Column("heard_seconds", Double, nullable=False),
        Column("missing_chunks", BigInteger, nullable=False),
        Column("energy", Double, nullable=False),
        Column("level_seconds", Double, nullable=False),
        Column("labels", JSON, nullable=False),
        Column("content", JSON, nullable=False),
        Column("recorded_ms", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


#: A row a prediction: what makes the sums exact, for as long as a replay may come.
WINDOWS: Final = Table(
    "windows",
    METADATA,
    Column("event_id", String, primary_key=True),
    Column("station_id", String, nullable=False),
    Column("model", String, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("label", String, nullable=False),
    Column("content", String, nullable=False),
    Column("level_dbfs", Double),
    Column("missing_chunks", BigInteger, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    Index("windows_recorded", "recorded_ms"),
)
MINUTES: Final = _spans("minutes")
HOURS: Final = _spans("hours")
SEGMENTS: Final = Table(
    "segments",
    METADATA,
    Column("event_id", String, primary_key=True),
    Column("station_id", String, nullable=False),
    Column("model", String, nullable=False),
    Column("label", String, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("heard_seconds", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("missing_chunks", BigInteger, nullable=False),
    Column("continues", Boolean, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("shares", JSON),
    Column("recorded_ms", BigInteger, nullable=False),
    Index("segments_station_began", "station_id", "began_ms"),
    Index("segments_recorded", "recorded_ms"),
)
STATION_EVENTS: Final = Table(
    "station_events",
    METADATA,
    Column("event_id", String, primary_key=True),
    Column("station_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", String),
    Column("message", String),
    Column("title", String),
    Column("missing_seconds", Double),
    Column("level_dbfs", Double),
    Column("receiver", String),
    Column("recorded_ms", BigInteger, nullable=False),
    Index("station_events_station_at", "station_id", "at_ms"),
    Index("station_events_recorded", "recorded_ms"),
)
STATIONS: Final = Table(
    "stations",
    METADATA,
    Column("station_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("timezone", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
)
#: That rows are deleted from after a while.
RETAINED: Final = {
    table.name: table for table in (WINDOWS, MINUTES, HOURS, SEGMENTS, STATION_EVENTS)
}
