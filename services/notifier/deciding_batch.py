"""A batch of messages to decisions: every rule with every station that it is about."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from schemas import (
    GenrePrediction,
    GenreSegment,
    Station,
    StationEvent,
    decode_event,
    to_milliseconds,
)
from schemas.errors import MessageError
from services.notifier.deciding import (
    Notification,
    Observation,
    State,
    Terms,
    observe,
    pass_time,
)
from services.notifier.memory import state_key
from services.notifier.rules import Rule, Rules


@dataclass
class Decider:
    """Keeps the state of every rule and station.

    Attributes
    ----------
    rules
        The rules.
    states
        By `state_key`.
    stations
        As they were applied: their tags and zones.
    changed
        Keys of states that are not saved yet.
    owned
        Topics and partitions that are ours: the clock moves no other states.
    since_ms
        When the first notifier of the group started: what was over by then is no alarm.
    """

    rules: Rules
    states: dict[str, State] = field(default_factory=dict)
    stations: dict[str, Station] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    owned: frozenset[str] = frozenset()
    since_ms: int = 0
    _pending: dict[str, tuple[Rule, str]] = field(default_factory=dict)

    def restore(self, states: Mapping[str, State]) -> None:
        """Take over what was saved."""
        self.states, self.changed = dict(states), set()
        for rule in self.rules.rules:
            for key in states:
                if key.startswith(state_key(rule.name, "")):
                    self._pending[key] = (rule, key.removeprefix(state_key(rule.name, "")))

    def announce(self, station_id: str, value: bytes | None) -> None:
        """Take in a station, or its removal.

        Raises
        ------
        MessageError
            It is none.
        """
        if value is None:
            self.stations.pop(station_id, None)
        else:
            self.stations[station_id] = decode_event(value, Station)

    def take(
        self, kind: str, value: bytes | None, timestamp_ms: int, source: str = ""
    ) -> list[Notification]:
        """Take in a message.

        Raises
        ------
        MessageError
            It is none.
        """
        station_id, seen = _observation(kind, value, timestamp_ms)
        if seen is None:
            return []
        return [
            notification
            for rule in self.rules.rules
            for notification in self._observe(rule, station_id, seen, source)
        ]

    def _observe(
        self, rule: Rule, station_id: str, seen: Observation, source: str
    ) -> list[Notification]:
        if rule.watches != seen.watches or not rule.is_about(station_id, self._tags(station_id)):
            return []
        key = state_key(rule.name, station_id)
        self._pending[key] = (rule, station_id)
        before = replace(self.states.get(key, State()), source=source)
        return self._keep(key, *observe(rule, station_id, before, seen, self._terms(station_id)))

    def pass_time(self, now_ms: int | None = None) -> list[tuple[Notification, str]]:
        """Raise and end what is due by the clock: events alone, for labels go by what was heard."""
        now_ms = round(time.time() * 1000) if now_ms is None else now_ms
        found = []
        for key, (rule, station_id) in self._pending.items():
            state = self.states.get(key, State())
            if rule.watches != "event" or state.holds_ms is None or state.source not in self.owned:
                continue
            decision = pass_time(rule, station_id, state, now_ms, self._terms(station_id))
            found += [(sent, state.source) for sent in self._keep(key, *decision)]
        return found

    def _keep(self, key: str, state: State, sent: list[Notification]) -> list[Notification]:
        before = self.states.get(key, State())
        self.states[key] = state
        if (before.holds_ms, before.clear_ms, before.alarm, before.sent_ms) != (
            state.holds_ms,
            state.clear_ms,
            state.alarm,
            state.sent_ms,
        ):
            self.changed.add(key)
        return sent

    def _tags(self, station_id: str) -> tuple[str, ...]:
        station = self.stations.get(station_id)
        return station.tags if station else ()

    def _terms(self, station_id: str) -> Terms:
        station = self.stations.get(station_id)
        return Terms(_zone(station.timezone if station else "UTC"), self.since_ms)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _observation(
    kind: str, value: bytes | None, timestamp_ms: int
) -> tuple[str, Observation | None]:
    if kind == "events":
        event = decode_event(value, StationEvent)
        moment = _moment(event.at, timestamp_ms)
        return event.station_id, Observation("event", event.kind, moment, event.event_id)
    if kind == "segments":
        part = decode_event(value, GenreSegment)
        moment = _moment(part.ended_at, timestamp_ms)
        seen = Observation("segment", part.label, moment, part.event_id, part.seconds)
        return part.stream_id, seen
    prediction = decode_event(value, GenrePrediction)
    if prediction.now is None:
        return prediction.stream_id, None
    moment = _moment(prediction.heard_at, timestamp_ms)
    return prediction.stream_id, Observation(
        "label", prediction.now.label, moment, prediction.event_id
    )


def _moment(text: str | None, timestamp_ms: int) -> int:
    try:
        return timestamp_ms if text is None else to_milliseconds(text)
    except (ValueError, OverflowError) as error:
        raise MessageError(f"{text!r} is no time: {error}") from error
