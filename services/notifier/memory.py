"""The compacted topic ``notifier.sent``: where each rule stands, and what is still to be delivered.

A decision goes there before its message is acknowledged, and leaves when a channel has it: neither
a restart nor a rebalance repeats or swallows an alarm. What was delivered just before a crash may
be delivered again, with the same id.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from services.notifier.deciding import Notification, State


class Due(Struct, frozen=True):
    """A notification that a channel has not got yet; `source` is the partition that it is of."""

    channel: str
    notification: Notification
    source: str


class Entry(Struct, frozen=True):
    """A record's value: one of these."""

    state: State | None = None
    due: Due | None = None
    since_ms: int | None = None


#: Key of when the first notifier started.
SINCE_KEY: Final = "since"


@dataclass
class Remembered:
    """What the topic holds: states and what is due, by key, and when the first notifier started."""

    states: dict[str, State] = field(default_factory=dict)
    due: dict[str, Due] = field(default_factory=dict)
    since_ms: int | None = None


def state_key(rule: str, station: str) -> str:
    """Return the key of a state."""
    return f"state/{rule}/{station}"


def due_key(due: Due) -> str:
    """Return the key of what is to be delivered."""
    return f"due/{due.channel}/{due.notification.id}"


def encode(entry: Entry) -> bytes:
    """Return a record's value."""
    return msgspec.json.encode(entry)


def replay(records: Iterable[tuple[str, bytes | None]]) -> Remembered:
    """Read the topic from its beginning."""
    found = Remembered()
    for key, value in records:
        entry = _decode(value)
        if entry.state:
            found.states[key] = entry.state
        elif entry.due:
            found.due[key] = entry.due
        elif entry.since_ms is None:
            found.due.pop(key, None)
        elif found.since_ms is None:
            found.since_ms = entry.since_ms
    return found


def _decode(value: bytes | None) -> Entry:
    """Read a record; what is none of ours counts as removed."""
    try:
        return msgspec.json.decode(value or b"{}", type=Entry)
    except msgspec.MsgspecError:
        return Entry()
