"""Which offsets of a partition may be committed: only those before the first unreleased one."""


class OffsetTracker:
    """Tracks the messages of one partition, taken in log order and released in any order.

    Offsets that the log does not have, as after compaction, are no obstacle.
    """

    def __init__(self) -> None:
        self._open: dict[int, None] = {}
        self._released: set[int] = set()
        self.last_seen: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, offset: int) -> bool:
        """Take in a message, in log order; refuse one that was seen before."""
        if self.last_seen is not None and offset <= self.last_seen:
            return False
        self._open[offset] = None
        self.last_seen = offset
        return True

    def committable(self, position: int) -> int:
        """Return the first offset that is still needed.

        Parameters
        ----------
        position
            Offset up to which all was added.
        """
        return next(iter(self._open), position)

    def release(self, offset: int) -> None:
        """Note that a message is needed no longer."""
        if offset not in self._open:
            return
        self._released.add(offset)
        while self._open and (first := next(iter(self._open))) in self._released:
            self._released.discard(first)
            del self._open[first]
