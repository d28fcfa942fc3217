"""Rules and channels, from YAML whose mistakes are named with their line."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from schemas import EventKind
from schemas.errors import SettingsError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: What ends what an event began; other events are over at once.
ENDS: Final = {"lost": "connected", "refused": "connected", "silent": "sounding"}
KINDS: Final = ("webhook", "mqtt", "apprise")
_RULE_FIELDS: Final = frozenset(
    ("name", "stations", "tags", "event", "label", "segment", "for", "until", "cooldown")
) | {"quiet", "recovery", "send"}
_CHANNEL_FIELDS: Final = frozenset((*KINDS, "secret", "timeout", "topic", "discovery"))


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to people.

    Attributes
    ----------
    name
        As rules call it.
    kind, url
        ``webhook``, ``mqtt`` or ``apprise``, and its address, which may hold secrets.
    secret
        Of the webhook's signature.
    timeout
        Seconds that an answer may take.
    topic, discovery
        First part of the MQTT topics, and of those of Home Assistant's discovery; "" for none.
    """

    name: str
    kind: str
    url: str
    secret: str | None = None
    timeout: float = 10.0
    topic: str = "genrestream"
    discovery: str = "homeassistant"

    def __repr__(self) -> str:
        return f"Channel({self.name}, {self.kind})"  # no secrets


@dataclass(frozen=True, slots=True)
class Rule:
    """When to tell whom.

    Attributes
    ----------
    name
        Its own.
    stations, tags
        Whom it is about; every station where both are empty.
    watches, value
        ``event`` and its kind, ``label`` or ``segment`` and the label.
    holds_seconds, until_seconds
        It is an alarm after so long, and over after so long without.
    cooldown_seconds
        Between two alarms about a station.
    quiet
        First and last minute of the day, by the station's clock, between which none is sent.
    recovery
        Whether its end is told, too.
    send
        Names of channels.
    """

    name: str
    watches: str
    value: str
    send: tuple[str, ...]
    stations: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    holds_seconds: float = 0.0
    until_seconds: float = 0.0
    cooldown_seconds: float = 300.0
    quiet: tuple[int, int] | None = None
    recovery: bool = True

    def is_about(self, station: str, tags: Iterable[str]) -> bool:
        """Tell whether it is about a station."""
        if not self.stations and not self.tags:
            return True
        return station in self.stations or not self.tags.isdisjoint(tags)


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules."""

    rules: tuple[Rule, ...]
    channels: Mapping[str, Channel]


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
    """Keeps the line of each mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping with its line."""
        found = super().construct_mapping(node, deep=deep)
        return {**found, "__line__": node.start_mark.line + 1}


def load_rules(path: Path) -> Rules:
    """Read a file.

    Raises
    ------
    SettingsError
        It cannot be read, or something in it is wrong: named with its line.
    """
    try:
        return parse_rules(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the rules {path} cannot be read: {error}") from error


def parse_rules(text: str, name: str = "rules.yaml") -> Rules:
    """Read rules.

    Raises
    ------
    SettingsError
        Something is wrong: named with its line.
    """
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = place.line + 1 if place else 1
        problem = getattr(error, "problem", None) or "no YAML"
        raise SettingsError(f"{name}, line {line}: {problem}") from error
    if not isinstance(found, dict) or not isinstance(found.get("rules"), list):
        raise SettingsError(f"{name}, line 1: write channels: and a list of rules:")
    channels = found.get("channels") or {}
    if not isinstance(channels, dict):
        raise SettingsError(f"{name}, line 1: channels: holds a channel a name")
    made = {
        key: _Reader(name, value, _CHANNEL_FIELDS).channel(str(key))
        for key, value in channels.items()
        if key != "__line__"
    }
    rules = tuple(_Reader(name, rule, _RULE_FIELDS).rule(made) for rule in found["rules"])
    names = [rule.name for rule in rules]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice:
        raise SettingsError(f"{name}: two rules are called {twice!r}: give each its own name")
    return Rules(rules, made)


class _Reader:
    """Reads one mapping, and knows its line."""

    def __init__(self, file: str, found: Any, fields: frozenset[str]) -> None:
        self._file = file
        if not isinstance(found, dict):
            raise SettingsError(f"{file}: {found!r} is no mapping: write name: value")
        self._found = found
        unknown = sorted(map(str, set(found) - fields - {"__line__"}))
        if unknown:
            raise self._wrong(f"{unknown[0]!r} is unknown: use one of {', '.join(sorted(fields))}")

    def _wrong(self, text: str) -> SettingsError:
        return SettingsError(f"{self._file}, line {self._found['__line__']}: {text}")

    def channel(self, name: str) -> Channel:
        """Read a channel."""
        kind = self._one_of(KINDS)
        timeout = self._found.get("timeout", 10)
        return Channel(
            name,
            kind,
            self._secret(kind) or "",
            self._secret("secret"),
            self._seconds("timeout", 10.0) if isinstance(timeout, str) else float(timeout),
            str(self._found.get("topic", "genrestream")),
            str(self._found.get("discovery", "homeassistant") or ""),
        )

    def _one_of(self, names: Iterable[str]) -> str:
        given = [name for name in names if name in self._found]
        if len(given) != 1:
            raise self._wrong(f"give one of {', '.join(names)}, not {len(given)} of them")
        return given[0]

    def _secret(self, field: str) -> str | None:
        """Read a text in which ``${NAME}`` stands for an environment variable."""
        if field not in self._found:
            return None

        def value(match: re.Match[str]) -> str:
            if match[1] not in os.environ:
                raise self._wrong(f"{field} names the environment variable {match[1]}: set it")
            return os.environ[match[1]]

        return re.sub(r"\$\{(\w+)\}", value, str(self._found[field]))

    def rule(self, channels: Mapping[str, Channel]) -> Rule:
        """Read a rule."""
        name = self._found.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
            raise self._wrong(f"name {name!r}: give letters, digits, dots and dashes")
        watches = self._one_of(("event", "label", "segment"))
        value = str(self._found[watches])
        if watches == "event" and value not in get_args(EventKind):
            raise self._wrong(f"event {value!r}: choose {', '.join(get_args(EventKind))}")
        return Rule(
            name,
            watches,
            value,
            self._channels(channels),
            frozenset(self._texts("stations")),
            frozenset(self._texts("tags")),
            self._seconds("for", 0.0),
            self._seconds("until", 0.0),
            self._seconds("cooldown", 300.0),
            self._quiet(),
            bool(self._found.get("recovery", True)),
        )

    def _channels(self, channels: Mapping[str, Channel]) -> tuple[str, ...]:
        names = self._texts("send")
        unknown = [name for name in names if name not in channels]
        if unknown or not names:
            known = ", ".join(channels) or "none"
            raise self._wrong(f"send {unknown or 'nothing'}: name channels; there are {known}")
        return names

    def _texts(self, field: str) -> tuple[str, ...]:
        found = self._found.get(field, [])
        return tuple(map(str, found)) if isinstance(found, list) else (str(found),)

    def _seconds(self, field: str, default: float) -> float:
        text = str(self._found.get(field, f"{default:g}s"))
        match = re.fullmatch(r"(\d{1,6})([smhd])", text, re.ASCII)
        if not match:
            raise self._wrong(f"{field} {text!r}: write 90s, 15m, 2h or 1d")
        return int(match[1]) * _UNITS[match[2]]

    def _quiet(self) -> tuple[int, int] | None:
        text = self._found.get("quiet")
        if text is None:
            return None
        match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", str(text))
        if not match:
            raise self._wrong(f"quiet {text!r}: write 22:00-06:00, by the station's clock")
        hours = [int(number) for number in match.groups()]
        return hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
