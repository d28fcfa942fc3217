"""A day of a station as one page of HTML: pure, from what the queries return to text."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from services.recorder.answers import Step
from services.recorder.rows import HOUR, MINUTE, Row

_WIDTH: Final = 1440
_CONTENT_COLOURS: Final = {
    "music": "#8a97a8",
    "speech": "#f28e2b",
    "other": "#9c755f",
    "silence": "#d62728",
    "unknown": "#bab0ac",
}
_PALETTE: Final = (
    *("#4e79a7", "#59a14f", "#edc948", "#b07aa1", "#76b7b2", "#ff9da7", "#9c755f"),
    *("#a0cbe8", "#8cd17d", "#d4a6c8", "#86bcb6", "#fabfd2"),
)
_FIXED: Final = {"speech": "#f28e2b", "silence": "#d62728", "unknown": "#bab0ac"}
_NOT_HEARD: Final = "#f0f0f0"
#: A minute is silent, or not heard, when that is so for more than half of it.
_HALF: Final = 0.5
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Day:
    """What a report is made of.

    Attributes
    ----------
    station_id, name, zone
        The station.
    begin_ms, end_ms
        The day, 23, 24 or 25 hours.
    labels, content
        A step a minute, by label and by content.
    segments, events
        Rows.
    now_ms
        What comes later is not there yet.
    """

    station_id: str
    name: str
    zone: ZoneInfo
    begin_ms: int
    end_ms: int
    labels: Sequence[Step]
    content: Sequence[Step]
    segments: Sequence[Row]
    events: Sequence[Row]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes in a row of which the same is true, in ms since 1970."""

    begin_ms: int
    end_ms: int

    @property
    def minutes(self) -> int:
        """Its length."""
        return round((self.end_ms - self.begin_ms) / MINUTE)


def stretches(day: Day, *, silent: bool) -> list[Stretch]:
    """Return when it was silent, or when nothing was heard, in whole minutes."""

    def holds(step: Step) -> bool:
        if step.begin_ms >= day.now_ms:
            return False
        if not silent:
            return step.heard_seconds < _HALF * (step.end_ms - step.begin_ms) / 1000
        return step.heard_seconds > 0 and step.shares.get("silence", 0.0) > _HALF

    found = []
    for true, steps in groupby(day.content, holds):
        run = list(steps)
        if true:
            found.append(Stretch(run[0].begin_ms, run[-1].end_ms))
    return found


def totals(steps: Iterable[Step]) -> dict[str, float]:
    """Return the seconds of each share over a day, the greatest first."""
    found: dict[str, float] = {}
    for step in steps:
        for name, share in step.shares.items():
            found[name] = found.get(name, 0.0) + share * step.heard_seconds
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def loudness(steps: Iterable[Step]) -> dict[str, float]:
    """Return the mean level of each label in dBFS, by power, over the minutes in which it leads."""
    powers: dict[str, list[float]] = {}
    for step in steps:
        if step.level_dbfs is not None and step.shares:
            powers.setdefault(_most(step), []).append(10 ** (step.level_dbfs / 10))
    return {name: 10 * math.log10(sum(found) / len(found)) for name, found in powers.items()}


def report(day: Day) -> str:
    """Return the page, which needs nothing else."""
    labels, content = totals(day.labels), totals(day.content)
    colours = _colours(labels)
    date = _local(day.begin_ms, day.zone).strftime("%A, %-d %B %Y")
    hours = (day.end_ms - day.begin_ms) / HOUR
    length = "" if hours == 24 else f" The clocks change: this day has {hours:g} hours."
    body = [
        f"<h1>{escape(day.name)}</h1>",
        f'<p class="sub">{date}, by the clock of {escape(day.zone.key)}.{length}</p>',
        _summary(day, labels),
        "<h2>The day</h2>",
        _strip("What played", day, day.labels, colours),
        _strip("Kind of sound", day, day.content, _CONTENT_COLOURS),
        _axis(day),
        _legend({**colours, "not heard": _NOT_HEARD}, "What played"),
        _legend({name: _CONTENT_COLOURS.get(name, "#888") for name in content}, "Kind of sound"),
        '<div class="columns"><section><h2>Share of each label</h2>',
        _bars(labels, colours),
        "</section><section><h2>Share of each kind of sound</h2>",
        _bars(content, _CONTENT_COLOURS),
        "</section></div>",
        _stretch_table("Silence", day, stretches(day, silent=True)),
        _stretch_table("Not heard", day, stretches(day, silent=False)),
        _segment_table(day, colours),
    ]
    return _PAGE.format(title=escape(f"{day.name}, {date}"), body="\n".join(body))


def _summary(day: Day, labels: dict[str, float]) -> str:
    heard = sum(labels.values())
    if not heard:
        return '<p class="bad">Nothing of this day was heard.</p>'
    genres = [name for name in labels if name not in _FIXED]
    cards = []
    if genres:
        first = genres[0]
        text = f"{_percent(labels[first] / heard)} of what was heard, {_length(labels[first])}"
        cards.append(_card("Most played genre", first, text, "good"))
    if levels := {name: level for name, level in loudness(day.labels).items() if name in genres}:
        name, level = max(levels.items(), key=lambda item: item[1])
        text = f"{level:.0f} dBFS on average, where it leads a minute"
        cards.append(_card("Loudest genre", name, text, "good"))
    silent = sorted(stretches(day, silent=True), key=lambda s: -s.minutes)
    if silent:
        longest = silent[0]
        total = sum(s.minutes for s in silent)
        more = f"; {_length(60 * total)} in all" if total > longest.minutes else ""
        text = f"{_length(60 * longest.minutes)} long{more}"
        cards.append(_card("Longest silence", _span(longest, day.zone), text, "bad"))
    else:
        cards.append(_card("Silence", "none", "no minute was silent", "good"))
    text = f"of {_length((min(day.end_ms, max(day.now_ms, day.begin_ms)) - day.begin_ms) / 1000)}"
    cards.append(_card("Heard", _length(heard), text, ""))
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(title: str, value: str, text: str, kind: str) -> str:
    return (
        f'<div class="card {kind}"><div>{escape(title)}</div><strong>{escape(value)}</strong>'
        f"<div>{escape(text)}</div></div>"
    )


def _colours(labels: Iterable[str]) -> dict[str, str]:
    genres = iter(_PALETTE * (1 + len(list(labels)) // len(_PALETTE)))
    return {name: _FIXED.get(name) or next(genres) for name in labels}


def _strip(title: str, day: Day, steps: Sequence[Step], colours: dict[str, str]) -> str:
    """Draw a bar a run of minutes in which most is the same."""
    bars = []
    for name, run in groupby(steps, _most):
        if not name:
            continue
        found = list(run)
        span = Stretch(found[0].begin_ms, found[-1].end_ms)
        x, width = _x(span.begin_ms, day), _x(span.end_ms, day) - _x(span.begin_ms, day)
        words = escape(f"{name}, {_span(span, day.zone)}")
        colour = colours.get(name, "#888")
        bars.append(
            f'<rect x="{x:.1f}" y="0" width="{width:.2f}" height="60" fill="{colour}">'
            f"<title>{words}</title></rect>"
        )
    return (
        f'<div class="strip"><span>{escape(title)}</span><svg viewBox="0 0 {_WIDTH} 60" '
        f'preserveAspectRatio="none" role="img" aria-label="{escape(title)}"><rect width="{_WIDTH}"'
        f' height="60" fill="{_NOT_HEARD}"/>{"".join(bars)}</svg></div>'
    )


def _most(step: Step) -> str:
    return next(iter(step.shares), "")


def _x(timestamp_ms: int, day: Day) -> float:
    return _WIDTH * (timestamp_ms - day.begin_ms) / (day.end_ms - day.begin_ms)


def _axis(day: Day) -> str:
    marks = []
    for moment in range(day.begin_ms, day.end_ms, HOUR):
        clock = _local(moment, day.zone)
        if clock.hour % 2 == 0:
            left = 100 * _x(moment, day) / _WIDTH
            marks.append(f'<i style="left:{left:.2f}%">{clock:%H:%M}</i>')
    return f'<div class="strip"><span></span><div class="axis">{"".join(marks)}</div></div>'


def _legend(colours: dict[str, str], title: str) -> str:
    marks = [f'<span><b style="background:{c}"></b>{escape(n)}</span>' for n, c in colours.items()]
    return f'<p class="legend"><em>{title}:</em> {"".join(marks)}</p>'


def _bars(found: dict[str, float], colours: dict[str, str]) -> str:
    heard = sum(found.values()) or 1.0
    rows = [
        f"<tr><td>{escape(name)}</td><td><div class='bar' style='width:"
        f"{100 * seconds / heard:.1f}%;background:{colours.get(name, '#888')}'></div></td>"
        f"<td class='n'>{_percent(seconds / heard)}</td><td class='n'>{_length(seconds)}</td></tr>"
        for name, seconds in found.items()
    ]
    return f'<table class="bars">{"".join(rows)}</table>'


def _stretch_table(title: str, day: Day, found: Sequence[Stretch]) -> str:
    if not found:
        return f"<h2>{title}</h2><p>No minute.</p>"
    longest = sorted(found, key=lambda stretch: -stretch.minutes)[:_SHOWN]
    rows = "".join(
        f"<tr><td>{_span(stretch, day.zone)}</td><td class='n'>{_length(60 * stretch.minutes)}"
        "</td></tr>"
        for stretch in sorted(longest, key=lambda stretch: stretch.begin_ms)
    )
    more = len(found) - len(longest)
    note = f"<p>and {more} shorter ones</p>" if more else ""
    return f"<h2>{title}</h2><table>{rows}</table>{note}"


def _segment_table(day: Day, colours: dict[str, str]) -> str:
    rows = [_segment(day, row, colours) for row in day.segments]
    if not rows:
        return "<h2>Segments</h2><p>None was recorded.</p>"
    head = "<tr><th>From</th><th>To</th><th>Label</th><th>Length</th><th>Titles</th></tr>"
    return f"<h2>Segments</h2><table>{head}{''.join(rows)}</table>"


def _segment(day: Day, row: Row, colours: dict[str, str]) -> str:
    titles = [
        event["title"]
        for event in day.events
        if event["title"] and row["began_ms"] <= event["at_ms"] < row["ended_ms"]
    ]
    colour = colours.get(row["label"], "#888")
    return (
        f"<tr><td>{_local(row['began_ms'], day.zone):%H:%M:%S}</td>"
        f"<td>{_local(row['ended_ms'], day.zone):%H:%M:%S}</td>"
        f"<td><b class='dot' style='background:{colour}'></b>{escape(row['label'])}</td>"
        f"<td class='n'>{_length(row['seconds'])}</td>"
        f"<td>{'<br>'.join(map(escape, titles))}</td></tr>"
    )


def _local(timestamp_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(timestamp_ms / 1000, zone)


def _span(stretch: Stretch, zone: ZoneInfo) -> str:
    begin, end = _local(stretch.begin_ms, zone), _local(stretch.end_ms, zone)
    return f"{begin:%H:%M} to {end:%H:%M}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _length(seconds: float) -> str:
    """Write a length of time.

    >>> _length(3700), _length(95), _length(8)
    ('1 h 1 min', '1 min 35 s', '8 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")
    if whole >= 60:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole} s"


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1rem;
  color: #222; }}
h1 {{ margin-bottom: 0; }} h2 {{ margin: 2rem 0 .5rem; font-size: 1.1rem; }} .sub {{ color: #555; }}
.cards {{ display: flex; gap: 1rem; flex-wrap: wrap; }}
.card {{ border: 1px solid #ddd; border-left: 6px solid #999; border-radius: 6px; flex: 1 1 12rem;
  padding: .6rem 1rem; }}
.card strong {{ display: block; font-size: 1.6rem; }} .card.good {{ border-left-color: #59a14f; }}
.card.bad {{ border-left-color: #d62728; background: #fff5f5; }} .bad {{ color: #a00; }}
.strip {{ display: flex; align-items: center; gap: .5rem; margin-bottom: 4px; }}
.strip > span {{ width: 7rem; flex: none; color: #555; }}
.strip svg, .axis {{ flex: 1; height: 56px; width: 100%; }}
.axis {{ position: relative; height: 1.4rem; }}
.axis i {{ position: absolute; font-style: normal; font-size: .8rem; color: #555;
  border-left: 1px solid #999; padding-left: 3px; }}
.legend {{ margin: .3rem 0; }} .legend em {{ font-style: normal; color: #555; }}
.legend span {{ margin-right: 1rem; white-space: nowrap; }}
.legend b, .dot {{ display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem;
  border-radius: 2px; vertical-align: -1px; }}
@media (max-width: 700px) {{ .axis i {{ display: none; }} .strip > span {{ width: 4rem; }}
  .axis i:nth-child(3n+1) {{ display: block; }} }}
.columns {{ display: flex; gap: 3rem; flex-wrap: wrap; }} .columns section {{ flex: 1 1 24rem; }}
table {{ border-collapse: collapse; }} .bars {{ width: 100%; }}
.bars td:nth-child(2) {{ width: 55%; }}
td, th {{ padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top; }}
.n {{ text-align: right; white-space: nowrap; }} .bar {{ height: .9rem; border-radius: 2px; }}
</style></head><body>
{body}
</body></html>
"""
