"""All that is known of one partition while it is ours; to lose it is to drop one object."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Generic

from services.processing.core import Output, Saved, State
from services.processing.offsets import OffsetTracker
from services.processing.records import Record, Step


@dataclass(frozen=True, slots=True)
class Live(Generic[State]):
    """An open stream.

    Attributes
    ----------
    state
        Its state.
    touched
        Since when nothing came of it, in seconds of a monotonic clock.
    size
        How many bytes it takes.
    """

    state: State
    touched: float
    size: int = 0


@dataclass(eq=False)
class Partition(Generic[State, Saved]):
    """One partition from its assignment to its loss.

    Attributes
    ----------
    number
        Its number.
    since
        When it became ours: an idle stream gets its whole timeout anew.
    lost
        Whether it is another's by now: what is still on its way is not saved nor acknowledged.
    offsets
        Which messages are needed.
    held_bytes
        What the open streams take together.
    live
        The open streams, by stream id.
    unsaved
        What was decided since the last checkpoint, by stream id.
    late
        Messages that wait for one that takes long, that one the first, by stream id.
    unbegun
        Offsets of messages that were put back.
    """

    number: int
    since: float
    lost: bool = False
    offsets: OffsetTracker = field(default_factory=OffsetTracker)
    held_bytes: int = 0
    live: dict[str, Live[State]] = field(default_factory=dict)
    unsaved: dict[str, Saved] = field(default_factory=dict)
    late: dict[str, deque[Record]] = field(default_factory=dict)
    unbegun: set[int] = field(default_factory=set)

    def key(self, stream_id: str) -> str:
        """Tell streams of one id in several partitions apart."""
        return f"{self.number}/{stream_id}"

    def is_in_hand(self, stream_id: str) -> bool:
        """Tell whether there is more of a stream than what is in the table."""
        return any(stream_id in some for some in (self.live, self.unsaved, self.late))

    def take(self, record: Record) -> bool:
        """Take a message in; tell whether it is new, or was put back."""
        offset = record.place.offset
        if offset in self.unbegun:
            self.unbegun.discard(offset)
            return True
        return self.offsets.add(offset)

    def move(
        self, stream_id: str, step: Step[State, Saved, Any], now: float, size: int = 0
    ) -> None:
        """Move a stream on by a step, after which it takes so many bytes."""
        before = self.live.pop(stream_id, None)
        self.held_bytes -= before.size if before else 0
        if step.state is not None:
            self.live[stream_id] = Live(step.state, now, size)
            self.held_bytes += size
        if step.saved is not None:
            self.unsaved[stream_id] = step.saved

    def forget_saved(self, stream_id: str, saved: Saved) -> None:
        """Note that a state is in the table now, unless there is a newer one."""
        if self.unsaved.get(stream_id) is saved:
            del self.unsaved[stream_id]

    def wait_anew(self, now: float) -> None:
        """Give every stream its whole timeout again."""
        self.live = {name: replace(live, touched=now) for name, live in self.live.items()}
        self.since = now


def split_key(key: str) -> tuple[int, str]:
    """Return the partition and the stream id of a key.

    Raises
    ------
    ValueError
        It is no key of ours.
    """
    number, slash, stream_id = key.partition("/")
    if not slash:
        raise ValueError(f"{key[:40]!r} names no partition and stream")
    return int(number), stream_id


Moved = tuple[Partition[State, Saved], str, Step[State, Saved, Output]]
