"""Times as the messages have them: RFC 3339, UTC, milliseconds."""

from datetime import UTC, datetime
from typing import Final

#: Of the year 9999, the last that RFC 3339 writes; a producer's clock may claim any 64-bit number.
LATEST_MS: Final = 253_402_300_799_000


def to_time(timestamp_ms: float) -> str:
    """Write milliseconds since 1970, cut to the years that can be written.

    >>> to_time(1_767_225_600_000)
    '2026-01-01T00:00:00.000Z'
    """
    seconds = min(max(round(timestamp_ms), 0), LATEST_MS) / 1000
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def to_milliseconds(time: str) -> int:
    """Read RFC 3339 of any zone as milliseconds since 1970.

    Raises
    ------
    ValueError
        Not a date and a time with a zone.

    >>> to_milliseconds("2026-01-01T01:00:00+01:00")
    1767225600000
    """
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone: write 2026-11-25T10:00:00Z or +01:00")
    return round(moment.timestamp() * 1000)
