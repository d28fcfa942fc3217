"""A table that recovers the latest state of every stream, whatever order its changelog has.

A worker that lost its partitions while it stood still, or whose network did, may write what it had
in hand after the new owner wrote newer state. faust-streaming 0.15.3 recovers what was written
last, on the loop. ``test_the_latest_state_is_recovered_in_any_order`` fails without it, and where a
record is no state, ``test_what_is_no_state_is_void``.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

import faust
import msgspec
from faust.tables.manager import TableManager

from services.processing.partition import split_key
from services.processing.records import Progress

logger = logging.getLogger(__name__)

#: Bytes of a state at most; ours have 1,500, and a stream id has 8,192.
_LARGEST: Final = 64 * 1024
#: Of a change that changes nothing: no stream has this key.
_NO_KEY: Final = b'""'


def readable(records: Iterable[Any]) -> Iterator[Any]:
    """Yield the records of a changelog, and in place of those that are none of ours a void one.

    faust leaves out a record whose key it cannot decode, and then waits for it for ever.
    """
    left_out = []
    for record in records:
        if _is_state(record):
            yield record
        else:
            left_out.append(record.offset)
            yield replace(record, key=_NO_KEY, value=None, headers=())
    if left_out:
        logger.warning(
            "%s[%d]: %d records are no states, and left alone: the first at offset %d",
            record.topic,
            record.partition,
            len(left_out),
            left_out[0],
        )


def _is_state(record: Any) -> bool:
    key, value = record.key or b"", record.value or b""
    if len(key) + len(value) > _LARGEST:
        return False
    try:
        split_key(msgspec.json.decode(key, type=str))
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


class Change(Protocol):
    """An event of the changelog; a value of ``None`` deletes."""

    key: Any
    value: Any


ChangeT = TypeVar("ChangeT", bound=Change)


class LatestTable(faust.Table[str, Any]):
    """A table that ignores changes older than what it holds.

    Parameters
    ----------
    progress
        Tells how far a value is.
    """

    def __init__(self, progress: Callable[[Any], Progress], *some: Any, **other: Any) -> None:
        self._progress = progress
        super().__init__(*some, **other)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Apply changes from the changelog, all but stale ones."""
        super().apply_changelog_batch(without_stale(batch, self.data, self._progress))


class PromptTables(TableManager):
    """faust's tables, without the second that it waits for more of them to be declared."""

    async def on_start(self) -> None:
        """Subscribe to the changelogs, and begin to recover them."""
        await self._update_channels()
        if not self.should_stop:
            await self.recovery.start()


def without_stale(
    changes: Iterable[ChangeT], held: Mapping[Any, Any], progress: Callable[[Any], Progress]
) -> Iterator[ChangeT]:
    """Leave out changes that would bring an older state back.

    Parameters
    ----------
    changes
        In the order of the log.
    held
        The values before them.
    progress
        Tells how far a value is.
    """
    latest: dict[Any, Any] = {}
    for change in changes:
        before = latest[change.key] if change.key in latest else held.get(change.key)
        is_stale = before and change.value and progress(change.value) < progress(before)
        if not is_stale:
            latest[change.key] = change.value
            yield change
