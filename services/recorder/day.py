"""A day of a station, and what can be said of it: pure, from what the queries return."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from services.recorder.answers import Step
from services.recorder.rows import MINUTE, Row

#: A minute is silent when more than half of what was heard of it is.
_HALF: Final = 0.5
#: It is not heard when less than this was: GENRESTREAM_HOP_SECONDS may leave half of it out.
_LEAST_HEARD: Final = 0.4


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
            return step.heard_seconds < _LEAST_HEARD * (step.end_ms - step.begin_ms) / 1000
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
            powers.setdefault(leading(step), []).append(10 ** (step.level_dbfs / 10))
    return {name: 10 * math.log10(sum(found) / len(found)) for name, found in powers.items()}


def leading(step: Step) -> str:
    """Return the label with the greatest share; nothing for none."""
    return next(iter(step.shares), "")
