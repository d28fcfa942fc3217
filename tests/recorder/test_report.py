"""The page about a day: what a reader looks for first stands at its top, as text."""

import math
import re
from dataclasses import replace
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from schemas import GENRES
from services import gateway
from services.recorder.answers import Step
from services.recorder.day import Day, loudness, stretches
from services.recorder.report import GENRE_COLOURS, report
from services.recorder.rows import HOUR, MINUTE
from tests.recorder.messages import START_MS

HTML = "<script>alert(1)</script>"
BERLIN = ZoneInfo("Europe/Berlin")
BEGIN_MS = START_MS - HOUR  # midnight in Berlin


def _steps(content: bool) -> list[Step]:
    """Return a day: jazz, an hour of silence at one, ten loud minutes, nothing at night."""
    found = []
    for minute in range(1440):
        name, level = "jazz", -18.0
        if 780 <= minute < 840:
            name, level = "silence", -80.0
        elif 900 <= minute < 910:
            name, level = "metal", -9.0
        kind = name if name == "silence" else "music"
        begin = BEGIN_MS + MINUTE * minute
        heard = 0.0 if minute < 30 else 60.0
        shares = {kind if content else name: 1.0} if heard else {}
        found.append(Step(begin, begin + MINUTE, heard, 0, level if heard else None, shares, "m"))
    return found


def _day(now_ms: int = BEGIN_MS + 24 * HOUR) -> Day:
    segment = {
        "label": "jazz",
        "began_ms": BEGIN_MS,
        "ended_ms": BEGIN_MS + HOUR,
        "seconds": 3600.0,
    }
    events = [
        {"kind": "title", "title": HTML, "message": None, "at_ms": BEGIN_MS + MINUTE},
        {"kind": "lost", "title": None, "message": HTML, "at_ms": BEGIN_MS + MINUTE},
    ]
    return Day(
        station_id="s",
        name=HTML,
        zone=BERLIN,
        begin_ms=BEGIN_MS,
        end_ms=BEGIN_MS + 24 * HOUR,
        labels=_steps(content=False),
        content=_steps(content=True),
        segments=[segment],
        events=events,
        now_ms=now_ms,
    )


def _cards(page: str) -> dict[str, str]:
    return dict(re.findall(r"<div>([^<]*)</div><strong>([^<]*)</strong>", page))


def test_the_silent_hour_and_the_genres_stand_at_the_top() -> None:
    cards = _cards(report(_day()))
    assert cards["Longest silence"] == "13:00 to 14:00"
    assert cards["Most played genre"] == "jazz"
    assert cards["Loudest genre"] == "metal"
    assert cards["Heard"] == "23 h 30 min"
    assert "nothing from 00:00 to 00:30" in report(_day())


def test_a_gap_says_why_nothing_was_heard() -> None:
    row = next(row for row in report(_day()).split("<tr>") if row.startswith("<td>00:00 to 00:30"))
    assert f"lost: {escape(HTML)}" in row


def test_genres_have_the_colours_of_the_page() -> None:
    script = (Path(gateway.__file__).parent / "page" / "format.js").read_text()
    table = script[script.index("export const GENRES") : script.index("};")]
    assert dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', table)) == GENRE_COLOURS
    assert tuple(sorted(GENRE_COLOURS)) == tuple(sorted(GENRES))


def test_the_level_of_each_genre_stands_beside_its_share() -> None:
    row = next(row for row in report(_day()).split("<tr>") if row.startswith("<td>metal"))
    assert "-9 dBFS" in row


def test_levels_are_means_of_power() -> None:
    steps = [Step(0, MINUTE, 60.0, 0, level, {"jazz": 1.0}, "m") for level in (-10.0, -20.0, None)]
    assert loudness(steps) == pytest.approx({"jazz": 10 * math.log10((0.1 + 0.01) / 2)})


def test_what_is_yet_to_come_is_neither_silent_nor_missing() -> None:
    day = _day(now_ms=BEGIN_MS + 13 * HOUR + 30 * MINUTE)
    assert [stretch.minutes for stretch in stretches(day, silent=True)] == [30]
    assert [stretch.minutes for stretch in stretches(day, silent=False)] == [30]


def test_names_and_titles_are_text() -> None:
    page = report(_day())
    assert HTML not in page
    assert page.count("&lt;script&gt;") >= 3


@pytest.mark.parametrize(("heard", "missing"), [(27.0, 0), (20.0, 1440)])
def test_a_minute_of_which_windows_apart_heard_half_is_not_missing(
    heard: float, missing: int
) -> None:
    day = _day()
    day = replace(
        day, content=[msgspec.structs.replace(step, heard_seconds=heard) for step in day.content]
    )
    assert sum(stretch.minutes for stretch in stretches(day, silent=False)) == missing
