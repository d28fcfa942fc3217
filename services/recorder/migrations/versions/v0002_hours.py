"""Sums by the hour, for queries over months; those that are there are summed up from minutes."""

import sqlalchemy as sa
from alembic import op

from services.recorder.rows import HOUR, Span, SpanKey

revision = "0002"
down_revision = "0001"

_STEP = 2_000


def upgrade() -> None:
    """Create the table and fill it, a station at a time."""
    hours = op.create_table(
        "hours",
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
    minutes = sa.Table("minutes", sa.MetaData(), autoload_with=op.get_bind())
    for station_id in op.get_bind().execute(sa.select(minutes.c.station_id).distinct()).scalars():
        _fill(hours, minutes, station_id)


def _fill(hours: sa.Table, minutes: sa.Table, station_id: str) -> None:
    found: dict[SpanKey, tuple[Span, int]] = {}
    statement = sa.select(minutes).where(minutes.c.station_id == station_id)
    for row in op.get_bind().execute(statement).mappings():
        key = (station_id, row["model"], row["began_ms"] - row["began_ms"] % HOUR)
        span, _ = found.setdefault(key, (Span(), row["recorded_ms"]))
        span.add(Span.of(dict(row)))
    rows = [
        {"station_id": key[0], "model": key[1], "began_ms": key[2], "recorded_ms": recorded}
        | vars(span)
        for key, (span, recorded) in found.items()
    ]
    for start in range(0, len(rows), _STEP):
        op.get_bind().execute(hours.insert(), rows[start : start + _STEP])
