"""A day of a station as one page of HTML: pure, from what the queries return to text."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import cycle, groupby
from typing import Final
from zoneinfo import ZoneInfo

from services.recorder.answers import Step
from services.recorder.day import Day, Stretch, leading, loudness, stretches, totals
from services.recorder.rows import HOUR, MINUTE, Row

_WIDTH: Final = 1440
_CONTENT_COLOURS: Final = {
    "music": "#8a97a8",
    "speech": "#6cc7e6",
    "other": "#9c755f",
    "silence": "#d62728",
    "unknown": "#bab0ac",
}
#: Those of the gateway's page: a genre looks the same on every day, and in both.
GENRE_COLOURS: Final = {
    "blues": "#3f6fd1",
    "classical": "#c7a01e",
    "country": "#a8713c",
    "disco": "#d5479a",
    "hiphop": "#8253c9",
    "jazz": "#17938c",
    "metal": "#8c2f39",
    "pop": "#f0739f",
    "reggae": "#3f9b3f",
    "rock": "#e2632b",
}
#: Of other labels, by turns.
_PALETTE: Final = ("#5a8f00", "#0090c8", "#b0529e", "#a36a00", "#4d61a9", "#00896a", "#7a7a1f")
_FIXED: Final = {"speech": "#6cc7e6", "silence": "#d62728", "unknown": "#bab0ac"}
_NOT_HEARD: Final = "url(#gap)"
_SHOWN: Final = 8


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
        _summary(day, labels, colours),
        "<h2>The day</h2>",
        _GAP,
        _strip("What played", day, day.labels, colours),
        _strip("Kind of sound", day, day.content, _CONTENT_COLOURS),
        _axis(day),
        _legend({**colours, "not heard": ""}, "What played"),
        _legend({name: _CONTENT_COLOURS.get(name, "#888") for name in content}, "Kind of sound"),
        '<div class="columns"><section><h2>Share of each label</h2>',
        _bars(labels, colours, loudness(day.labels)),
        "</section><section><h2>Share of each kind of sound</h2>",
        _bars(content, _CONTENT_COLOURS, {}),
        "</section></div>",
        _stretch_table("Silence", day, stretches(day, silent=True)),
        _stretch_table("Not heard", day, stretches(day, silent=False)),
        _segment_table(day, colours),
    ]
    return _PAGE.format(title=escape(f"{day.name}, {date}"), body="\n".join(body))


def _summary(day: Day, labels: dict[str, float], colours: dict[str, str]) -> str:
    heard = sum(labels.values())
    if not heard:
        return '<p class="bad">Nothing of this day was heard.</p>'
    genres = [name for name in labels if name not in _FIXED]
    cards = []
    if genres:
        first = genres[0]
        lines = f"{_percent(labels[first] / heard)} of what was heard", _length(labels[first])
        cards.append(_card("Most played genre", first, lines, colour=colours[first]))
    if levels := {name: level for name, level in loudness(day.labels).items() if name in genres}:
        name, level = max(levels.items(), key=lambda item: item[1])
        lines = f"{level:.0f} dBFS on average", f"in the minutes that are mostly {name}"
        cards.append(_card("Loudest genre", name, lines, colour=colours[name]))
    silent = sorted(stretches(day, silent=True), key=lambda s: -s.minutes)
    if silent:
        longest = silent[0]
        total = sum(s.minutes for s in silent)
        more = [f"{_length(60 * total)} in all"] if total > longest.minutes else []
        lasts = [f"{_length(60 * longest.minutes)} long", *more]
        cards.append(_card("Longest silence", _span(longest, day.zone), lasts, kind="bad"))
    else:
        cards.append(_card("Silence", "none", ["no minute was silent"], kind="good"))
    cards.append(_heard_card(day, heard))
    return f'<div class="cards">{"".join(cards)}</div>'


def _heard_card(day: Day, heard: float) -> str:
    """Tell how much was heard, and when nothing was for longest."""
    past = (min(day.end_ms, max(day.now_ms, day.begin_ms)) - day.begin_ms) / 1000
    lines = [f"of {_length(past)}"]
    gaps = stretches(day, silent=False)
    if gaps:
        longest = max(gaps, key=lambda stretch: stretch.minutes)
        lines.append(f"nothing from {_span(longest, day.zone)}")
    return _card("Heard", _length(heard), lines, kind="warn" if gaps else "good")


def _card(title: str, value: str, lines: Iterable[str], *, kind: str = "", colour: str = "") -> str:
    style = f' style="border-left-color:{colour}"' if colour else ""
    return (
        f'<div class="card {kind}"{style}><div>{escape(title)}</div>'
        f"<strong>{escape(value)}</strong>"
        f"{''.join(f'<div>{escape(line)}</div>' for line in lines)}</div>"
    )


def _colours(labels: Iterable[str]) -> dict[str, str]:
    others = cycle(_PALETTE)
    return {name: _FIXED.get(name) or GENRE_COLOURS.get(name) or next(others) for name in labels}


def _strip(title: str, day: Day, steps: Sequence[Step], colours: dict[str, str]) -> str:
    """Draw a bar a run of minutes in which most is the same."""
    bars = []
    for name, run in groupby(steps, leading):
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
    marks = [
        f'<span><b class="{"" if c else "gap"}" style="background-color:{c}"></b>{escape(n)}</span>'
        for n, c in colours.items()
    ]
    return f'<p class="legend"><em>{title}:</em> {"".join(marks)}</p>'


def _bars(found: dict[str, float], colours: dict[str, str], levels: dict[str, float]) -> str:
    """Draw a bar a share, as long as it is to the greatest; its level in dBFS, where known."""
    heard, greatest = sum(found.values()) or 1.0, max(found.values(), default=0.0) or 1.0
    rows = [
        f"<tr><td>{escape(name)}</td><td><div class='bar' style='width:"
        f"{100 * seconds / greatest:.1f}%;background:{colours.get(name, '#888')}'></div></td>"
        f"<td class='n'>{_percent(seconds / heard)}</td><td class='n'>{_length(seconds)}</td>"
        + (f"<td class='n'>{_decibels(levels.get(name))}</td></tr>" if levels else "</tr>")
        for name, seconds in found.items()
    ]
    return f'<table class="bars">{"".join(rows)}</table>'


def _stretch_table(title: str, day: Day, found: Sequence[Stretch]) -> str:
    if not found:
        return f"<h2>{title}</h2><p>No minute.</p>"
    longest = sorted(found, key=lambda stretch: -stretch.minutes)[:_SHOWN]
    rows = "".join(
        f"<tr><td>{_span(stretch, day.zone)}</td><td class='n'>{_length(60 * stretch.minutes)}"
        f"</td><td>{escape(_reason(day, stretch))}</td></tr>"
        for stretch in sorted(longest, key=lambda stretch: stretch.begin_ms)
    )
    more = len(found) - len(longest)
    note = f"<p>and {more} shorter ones</p>" if more else ""
    return f"<h2>{title}</h2><table class='spans'>{rows}</table>{note}"


def _reason(day: Day, stretch: Stretch) -> str:
    """Return what was last said of a trouble of the station, about that time."""
    said = [
        f"{event['kind']}: {event['message']}"
        for event in day.events
        if event.get("message")
        and stretch.begin_ms - MINUTE <= event["at_ms"] <= stretch.end_ms - MINUTE
    ]
    return said[-1] if said else ""


def _segment_table(day: Day, colours: dict[str, str]) -> str:
    rows = [_segment(day, row, colours) for row in day.segments]
    if not rows:
        return "<h2>Segments</h2><p>None was recorded.</p>"
    head = "<tr><th>From</th><th>To</th><th>Label</th><th>Length</th><th>Titles</th></tr>"
    return f'<h2>Segments</h2><table class="segments">{head}{"".join(rows)}</table>'


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


def _decibels(level: float | None) -> str:
    return "" if level is None else f"{level:.0f} dBFS"


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


#: What was not heard is striped.
_GAP: Final = (
    '<svg class="none" aria-hidden="true"><pattern id="gap" width="8" height="8" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="gap" width="8" '
    'height="8"/><rect class="gap-line" width="2" height="8"/></pattern></svg>'
)

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>
:root {{ color-scheme: light dark; --ink: #222; --soft: #555; --line: #ddd; --card: #fff;
  --bad: #a00; --bad-card: #fff5f5; --warn: #7a5200; --gap: #f0f0f0; --gap-line: #b5b5b5; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #eceef1; --soft: #a4abb6; --line: #3a404a;
  --card: #1b1e23; --bad: #ff8d83; --bad-card: #3a1d1b; --warn: #f1c566; --gap: #23272d;
  --gap-line: #5b636e; }} body {{ background: #121417; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1rem;
  color: var(--ink); }}
h1 {{ margin: 0; }} h2 {{ margin: 2rem 0 .5rem; font-size: 1.1rem; }}
.sub {{ color: var(--soft); margin: .2rem 0 1rem; }}
.cards {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }}
.card {{ border: 1px solid var(--line); border-left: 8px solid #999; border-radius: 6px;
  padding: .6rem 1rem; background: var(--card); }}
.card strong {{ display: block; font-size: 1.6rem; }} .card.good {{ border-left-color: #59a14f; }}
.card.bad {{ border-left-color: #d62728; background: var(--bad-card); }}
.bad {{ color: var(--bad); }} .none {{ position: absolute; width: 0; height: 0; }}
.card.warn {{ border-left-color: #e0a100; }} .card.warn div:last-child {{ color: var(--warn); }}
.strip {{ display: flex; align-items: center; gap: .5rem; margin-bottom: 4px; }}
.strip > span {{ width: 7rem; flex: none; color: var(--soft); }}
.strip svg, .axis {{ flex: 1; height: 56px; width: 100%; }}
.axis {{ position: relative; height: 1.4rem; }}
.axis i {{ position: absolute; font-style: normal; font-size: .8rem; color: var(--soft);
  border-left: 1px solid #999; padding-left: 3px; }}
rect.gap {{ fill: var(--gap); }} .gap-line {{ fill: var(--gap-line); }}
.legend {{ margin: .3rem 0; }} .legend em {{ font-style: normal; color: var(--soft); }}
.legend span {{ margin-right: 1rem; white-space: nowrap; }}
.legend b, .dot {{ display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem;
  border-radius: 2px; vertical-align: -1px; }}
.legend .gap {{ background: repeating-linear-gradient(135deg, var(--gap-line) 0 2px, var(--gap) 2px
  6px); }}
.columns {{ display: flex; gap: 0 3rem; flex-wrap: wrap; }}
.columns section {{ flex: 1 1 20rem; }}
table {{ border-collapse: collapse; }} .bars {{ width: 100%; }}
.bars td:nth-child(2) {{ width: 50%; vertical-align: middle; }}
td, th {{ padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top; }}
.n {{ text-align: right; white-space: nowrap; }} .bar {{ height: .9rem; border-radius: 2px; }}
.segments td:nth-child(3), .spans td:first-child {{ white-space: nowrap; }}
.segments td:last-child {{ overflow-wrap: anywhere; }}
@media (max-width: 700px) {{ body {{ margin: 1rem auto; }} .axis i {{ display: none; }}
  .axis i:nth-child(3n+1) {{ display: block; }} .strip > span {{ width: 4rem; }}
  .cards {{ grid-template-columns: 1fr 1fr; gap: .6rem; }} .card {{ padding: .5rem; }}
  .card strong {{ font-size: 1.05rem; }} .card div {{ font-size: .9rem; line-height: 1.35; }}
  td, th {{ padding-right: .5rem; }} .bars td:nth-child(2) {{ width: 25%; }}
  .segments :is(td, th):nth-child(2), .segments th:last-child {{ display: none; }}
  .segments tr {{ display: grid; grid-template-columns: 5rem 1fr auto; }}
  .segments td:last-child {{ grid-column: 1 / -1; color: var(--soft); }} }}
</style></head><body><main>
{body}
</main></body></html>
"""
