"""What to send: rules, what was observed and the time to notifications. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from services.notifier.rules import ENDS, Rule

_UTC: Final = ZoneInfo("UTC")


class State(Struct, frozen=True):
    """Where a rule stands with a station; times are ms since 1970.

    Attributes
    ----------
    seen_ms
        Time of the last observation: what is older is known already.
    holds_ms, cause
        Since when it holds, and the id of the event by which it does; ``None`` while it does not.
    clear_ms
        Since when it does not hold any more, while it is an alarm.
    alarm
        Id of the alarm that was sent and is not over.
    sent_ms
        When the last alarm was sent.
    source
        Topic and partition of the station's messages: who has it, owns the state.
    """

    seen_ms: int = -1
    holds_ms: int | None = None
    cause: str = ""
    clear_ms: int | None = None
    alarm: str | None = None
    sent_ms: int | None = None
    source: str = ""


class Notification(Struct, frozen=True):
    """What people are told.

    Attributes
    ----------
    id
        The same however often it is delivered.
    rule, station
        Whose.
    kind
        ``alarm`` or ``recovery``.
    what
        What the rule watches, in words.
    at_ms, since_ms
        When it was decided, and since when it holds (or not any more).
    alarm_id
        Of the alarm that a recovery ends.
    """

    id: str
    rule: str
    station: str
    kind: str
    what: str
    at_ms: int
    since_ms: int
    alarm_id: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Something that may concern a rule.

    Attributes
    ----------
    watches, value
        ``event`` and its kind; ``label`` or ``segment`` and its label.
    at_ms, event_id
        When it was, and of what message.
    seconds
        Length of a segment.
    """

    watches: str
    value: str
    at_ms: int
    event_id: str
    seconds: float = 0.0


Decision = tuple[State, list[Notification]]


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides beside a rule.

    Attributes
    ----------
    zone
        Of the station, for quiet hours.
    since_ms
        What is decided of earlier times is not sent, and waits: notifiers were not there yet.
    """

    zone: ZoneInfo = _UTC
    since_ms: int = 0


def observe(rule: Rule, station: str, state: State, seen: Observation, terms: Terms) -> Decision:
    """Take in an observation: first what the time until then makes due, then itself."""
    if rule.watches != seen.watches or seen.at_ms < state.seen_ms:
        return state, []
    if rule.watches == "segment" or (rule.watches == "event" and rule.value not in ENDS):
        return _momentary(rule, station, state, seen, terms)
    state, before = pass_time(rule, station, state, seen.at_ms, terms)
    state = _apply(rule, state, seen)
    state, after = pass_time(rule, station, state, seen.at_ms, terms)
    return state, before + after


def _momentary(rule: Rule, station: str, state: State, seen: Observation, terms: Terms) -> Decision:
    """Tell of something that is over at once: it has no recovery."""
    known = seen.at_ms == state.seen_ms and seen.event_id == state.cause
    if seen.value != rule.value or seen.seconds < rule.holds_seconds or known:
        return state, []
    state = replace(state, seen_ms=seen.at_ms, cause=seen.event_id)
    if not _may_send(rule, state, seen.at_ms, terms):
        return state, []
    sent = _notification(rule, station, "alarm", seen.event_id, seen.at_ms, seen.at_ms)
    return replace(state, sent_ms=seen.at_ms), [sent]


def _apply(rule: Rule, state: State, seen: Observation) -> State:
    state = replace(state, seen_ms=seen.at_ms)
    if seen.value == rule.value:
        if state.holds_ms is None:
            return replace(state, holds_ms=seen.at_ms, cause=seen.event_id, clear_ms=None)
        return replace(state, clear_ms=None)
    if rule.watches == "event" and seen.value != ENDS[rule.value]:
        return state
    if state.alarm is None:
        return replace(state, holds_ms=None)
    return state if state.clear_ms is not None else replace(state, clear_ms=seen.at_ms)


def pass_time(rule: Rule, station: str, state: State, now_ms: int, terms: Terms) -> Decision:
    """Raise what has held for long enough, and end what has been over for long enough."""
    if state.alarm is None and state.holds_ms is not None:
        due = now_ms - state.holds_ms >= 1000 * rule.holds_seconds
        if due and _may_send(rule, state, now_ms, terms):
            sent = _notification(rule, station, "alarm", state.cause, now_ms, state.holds_ms)
            return replace(state, alarm=sent.id, sent_ms=now_ms), [sent]
    if state.alarm is None or state.clear_ms is None:
        return state, []
    if now_ms - state.clear_ms < 1000 * rule.until_seconds:
        return state, []
    return _recover(rule, station, state, now_ms, state.clear_ms)


def _recover(rule: Rule, station: str, state: State, now_ms: int, clear_ms: int) -> Decision:
    alarm = state.alarm or ""
    over = replace(state, alarm=None, holds_ms=None, clear_ms=None)
    if not rule.recovery:
        return over, []
    made = _notification(rule, station, "recovery", state.cause, now_ms, clear_ms)
    return over, [replace(made, alarm_id=alarm)]


def _may_send(rule: Rule, state: State, now_ms: int, terms: Terms) -> bool:
    """Tell whether neither cooldown nor quiet hours forbid an alarm; it waits until they end."""
    if now_ms < terms.since_ms:
        return False
    if state.sent_ms is not None and now_ms - state.sent_ms < 1000 * rule.cooldown_seconds:
        return False
    return rule.quiet is None or not _is_quiet(rule.quiet, now_ms, terms.zone)


def _is_quiet(quiet: tuple[int, int], now_ms: int, zone: ZoneInfo) -> bool:
    begin, end = quiet
    clock = datetime.fromtimestamp(now_ms / 1000, zone)
    minute = clock.hour * 60 + clock.minute
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


def _notification(
    rule: Rule, station: str, kind: str, cause: str, now_ms: int, since_ms: int
) -> Notification:
    name = f"{rule.name}/{station}/{cause}/{kind}"
    what = f"{rule.watches} {rule.value}"
    return Notification(name, rule.name, station, kind, what, now_ms, since_ms, name)
