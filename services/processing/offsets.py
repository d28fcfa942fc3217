"""Which offsets of a partition may be committed: only those before the first unreleased one."""

from typing import Generic, TypeVar

Message = TypeVar("Message")


class OffsetTracker(Generic[Message]):
    """Tracks the messages of one partition, released in any order, acknowledged in log order.

    Offsets that the log does not have, as after compaction, are no obstacle.
    """

    def __init__(self) -> None:
        self._open: dict[int, Message] = {}
        self._released: set[int] = set()
        self.last_seen: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, offset: int, message: Message) -> bool:
        """Take in a message, in log order; refuse one that was seen before."""
        if self.last_seen is not None and offset <= self.last_seen:
            return False
        self._open[offset] = message
        self.last_seen = offset
        return True

    @property
    def committable(self) -> int | None:
        """The first offset that is still needed, or the next one to come; ``None`` at first."""
        if self._open:
            return next(iter(self._open))
        return None if self.last_seen is None else self.last_seen + 1

    def release(self, offset: int) -> list[Message]:
        """Note that a message is needed no longer.

        Returns
        -------
        The messages to acknowledge now, in log order.
        """
        if offset not in self._open:
            return []
        self._released.add(offset)
        ready = []
        while self._open and (first := next(iter(self._open))) in self._released:
            self._released.discard(first)
            ready.append(self._open.pop(first))
        return ready
