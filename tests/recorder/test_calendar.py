from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from schemas.errors import SettingsError
from services.recorder.calendar import (
    day_span,
    local_time,
    parse_day,
    parse_moment,
    parse_step,
    steps,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)]
)
def test_days_have_their_hours(day: date, hours: int) -> None:
    begin, end = day_span(day, BERLIN)
    assert (end - begin) / HOUR == hours
    assert len(list(steps(begin, end, 3600, BERLIN))) == hours


def test_days_abut_over_changes_of_the_clock() -> None:
    begin, end = day_span(date(2026, 10, 24), BERLIN)[0], day_span(date(2026, 10, 27), BERLIN)[0]
    found = list(steps(begin, end, 86_400, BERLIN))
    assert [(b - a) / HOUR for a, b in found] == [24, 25, 24]
    assert [a for a, _ in found][1:] == [b for _, b in found][:-1]


def test_a_day_that_begins_at_one() -> None:
    """Beirut's clock skips midnight of 29 March 2026."""
    begin, end = day_span(date(2026, 3, 29), ZoneInfo("Asia/Beirut"))
    assert (end - begin) / HOUR == 23
    assert local_time(begin, ZoneInfo("Asia/Beirut")) == "2026-03-29T01:00:00+03:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-25T08:00", "2026-11-25T08:00:00+01:00"),
        ("2026-11-25T08:00:00Z", "2026-11-25T09:00:00+01:00"),
        ("yesterday", "2026-11-24T00:00:00+01:00"),
        ("2026-11-01", "2026-11-01T00:00:00+01:00"),
        ("24h", "2026-11-24T13:00:00+01:00"),
        ("now", "2026-11-25T13:00:00+01:00"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert local_time(parse_moment(text, BERLIN, NOW), BERLIN) == expected


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "25:00", "", "9999999d", "²h"])
def test_no_moment(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is no (time|day)"):
        parse_moment(text, BERLIN, NOW)


@pytest.mark.parametrize("text", ["0m", "30s", "36h", "x", "-1h"])
def test_no_step(text: str) -> None:
    with pytest.raises(SettingsError, match="--step"):
        parse_step(text)


def test_today_is_by_the_stations_clock() -> None:
    late = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)
    assert parse_day("today", BERLIN, late) == date(2026, 11, 26)
