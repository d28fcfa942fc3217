"""A table that recovers the latest state of every stream, whatever order its changelog has.

A worker that lost its partitions while it stood still, or whose network did, may write what it had
in hand after the new owner wrote newer state. faust would recover what was written last.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import faust
from faust.tables.manager import TableManager

from services.processing.records import Progress


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
