"""The first schema: windows, minutes, segments, events and stations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "windows",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("station_id", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("content", sa.String, nullable=False),
        sa.Column("level_dbfs", sa.Double),
        sa.Column("missing_chunks", sa.BigInteger, nullable=False),
        sa.Column("recorded_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("windows_recorded", "windows", ["recorded_ms"])
    op.create_table(
        "minutes",
        sa.Column("station_id", sa.String, primary_key=True),
        sa.Column("began_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("heard_seconds", sa.Double, nullable=False),
        sa.Column("missing_chunks", sa.BigInteger, nullable=False),
        sa.Column("energy", sa.Double, nullable=False),
        sa.Column("level_seconds", sa.Double, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("recorded_ms", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segments",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("station_id", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("heard_seconds", sa.Double, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("missing_chunks", sa.BigInteger, nullable=False),
        sa.Column("continues", sa.Boolean, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("shares", sa.JSON),
        sa.Column("recorded_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("segments_station_began", "segments", ["station_id", "began_ms"])
    op.create_index("segments_recorded", "segments", ["recorded_ms"])
    op.create_table(
        "station_events",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("station_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("message", sa.String),
        sa.Column("title", sa.String),
        sa.Column("missing_seconds", sa.Double),
        sa.Column("level_dbfs", sa.Double),
        sa.Column("receiver", sa.String),
        sa.Column("recorded_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("station_events_station_at", "station_events", ["station_id", "at_ms"])
    op.create_index("station_events_recorded", "station_events", ["recorded_ms"])
    op.create_table(
        "stations",
        sa.Column("station_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("timezone", sa.String, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("recorded_ms", sa.BigInteger, nullable=False),
    )
