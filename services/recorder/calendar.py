"""Times as people write them, and days by the zone of a station: 23, 24 or 25 hours long."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.errors import SettingsError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DAY_SECONDS: Final = 86_400


def zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises
    ------
    SettingsError
        There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"there is no time zone {name!r}: write a name such as Europe/Berlin"
        ) from error


def midnight(day: date, at: ZoneInfo) -> int:
    """Return when a day begins in a zone, in ms since 1970.

    Where the clock skips midnight, that is when it skips.
    """
    return round(datetime.combine(day, time.min, at).timestamp() * 1000)


def day_span(day: date, at: ZoneInfo) -> tuple[int, int]:
    """Return when a day begins and ends in a zone, in ms since 1970.

    >>> begin, end = day_span(date(2026, 10, 25), ZoneInfo("Europe/Berlin"))
    >>> (end - begin) / 3_600_000
    25.0
    """
    return midnight(day, at), midnight(day + timedelta(days=1), at)


def parse_moment(text: str, at: ZoneInfo, now: datetime) -> int:
    """Read a time: RFC 3339, a date or a local time of the zone, or an age such as ``24h``.

    Returns
    -------
    Milliseconds since 1970.

    Raises
    ------
    SettingsError
        It is none.
    """
    if text == "now":
        return round(now.timestamp() * 1000)
    if match := re.fullmatch(r"(\d{1,5})([smhdw])", text, re.ASCII):
        return round(1000 * (now.timestamp() - int(match[1]) * _UNITS[match[2]]))
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) or text in ("today", "yesterday"):
            return midnight(parse_day(text, at, now), at)
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=at)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"{text!r} is no time: write 2026-11-25T08:00 (by the station's clock), "
            "2026-11-25T08:00:00Z, 2026-11-25, today, yesterday, or an age (90s, 15m, 24h, 7d)"
        ) from error


def parse_day(text: str, at: ZoneInfo, now: datetime) -> date:
    """Read a date, ``today`` or ``yesterday``.

    Raises
    ------
    SettingsError
        It is none.
    """
    today = now.astimezone(at).date()
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no day: write 2026-11-25, today or yesterday") from error


def parse_step(text: str) -> int:
    """Read the length of a step in seconds: whole minutes, or whole days.

    Raises
    ------
    SettingsError
        It is something else.
    """
    match = re.fullmatch(r"(\d{1,5})([mhdw])", text, re.ASCII)
    step = int(match[1]) * _UNITS[match[2]] if match else 0
    if not step or (step > DAY_SECONDS and step % DAY_SECONDS):
        raise SettingsError(f"--step {text!r} is none: write 1m, 15m, 1h, 1d or 1w")
    return step


def steps(begin_ms: int, end_ms: int, step: int, at: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Yield the spans of a time; days go from midnight to midnight by the zone's clock.

    Parameters
    ----------
    begin_ms, end_ms
        Of the time, in ms since 1970.
    step
        Length of a span in seconds.
    at
        The zone.
    """
    begin = begin_ms
    while begin < end_ms:
        end = min(_next(begin, step, at), end_ms)
        yield begin, end
        begin = end


def _next(begin_ms: int, step: int, at: ZoneInfo) -> int:
    if step % DAY_SECONDS:
        return begin_ms + 1000 * step
    day = datetime.fromtimestamp(begin_ms / 1000, at).date()
    return midnight(day + timedelta(days=step // DAY_SECONDS), at)


def local_time(timestamp_ms: int, at: ZoneInfo) -> str:
    """Write a time by a zone's clock, with its distance from UTC.

    >>> local_time(1_767_225_600_000, ZoneInfo("Europe/Berlin"))
    '2026-01-01T01:00:00+01:00'
    """
    return datetime.fromtimestamp(timestamp_ms // 1000, UTC).astimezone(at).isoformat()
