"""The compacted topic ``notifier.sent``: where each rule stands, and what is still to be delivered.

A decision goes there before its message is acknowledged, and leaves when a channel has it: neither
a restart nor a rebalance repeats or swallows an alarm. What was delivered just before a crash may
be delivered again, with the same id.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from services.notifier.deciding import Notification, State


class Due(Struct, frozen=True):
    """A notification that a channel has not got yet; `source` is the partition that it is of."""

    channel: str
    notification: Notification
    source: str


class Entry(Struct, frozen=True):
    """A record's value: one of both."""

    state: State | None = None
    due: Due | None = None


def state_key(rule: str, station: str) -> str:
    """Return the key of a state."""
    return f"state/{rule}/{station}"


def due_key(due: Due) -> str:
    """Return the key of what is to be delivered."""
    return f"due/{due.channel}/{due.notification.id}"


def encode(entry: Entry) -> bytes:
    """Return a record's value."""
    return msgspec.json.encode(entry)


def replay(records: Iterable[tuple[str, bytes | None]]) -> tuple[dict[str, State], dict[str, Due]]:
    """Read the topic from its beginning: states and what is due, by key."""
    states: dict[str, State] = {}
    due: dict[str, Due] = {}
    for key, value in records:
        entry = _decode(value)
        if entry.state:
            states[key] = entry.state
        elif entry.due:
            due[key] = entry.due
        else:
            due.pop(key, None)
    return states, due


def _decode(value: bytes | None) -> Entry:
    """Read a record; what is none of ours counts as removed."""
    try:
        return msgspec.json.decode(value or b"{}", type=Entry)
    except msgspec.MsgspecError:
        return Entry()
