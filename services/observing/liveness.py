"""Whether a worker is alive: its offsets move on, or there is nothing to do, and a broker answers.

Workers on faust have been seen that run, heartbeat and consume nothing; so it is progress that
counts, not the process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Next offset by partition.
Offsets = Mapping[int, int]


@dataclass
class Health:
    """Observations of a worker, taken every few seconds; times are of a monotonic clock.

    Parameters
    ----------
    stall_seconds
        A partition with messages that wait, and no progress for so long, is stalled; so is a worker
        that is left without an assignment for twice as long.
    silence_seconds
        A broker that has not answered for so long is gone.
    started
        When observing began.
    """

    stall_seconds: float
    silence_seconds: float
    started: float
    _answered: float = field(init=False)
    _positions: dict[int, int] = field(default_factory=dict)
    _moved: dict[int, float] = field(default_factory=dict)
    _late_done: int = 0
    _assigned: float = field(init=False)

    def __post_init__(self) -> None:
        self._answered = self._assigned = self.started

    def observe(
        self, now: float, positions: Offsets | None, ends: Offsets, late_done: int = 0
    ) -> None:
        """Take in what the broker and the worker say.

        Parameters
        ----------
        now
            The time.
        positions
            Offset of the next message to process, of each partition that is assigned, be it none;
            ``None`` while the group has not assigned any share.
        ends
            Offset that the next message of each partition will have.
        late_done
            How many messages that take long were processed so far. A partition may wait for those
            of all others: one at a time is processed, so each is progress.
        """
        self._answered = now
        if positions is not None:
            self._assigned = now
        positions = positions or {}
        goes_on = late_done != self._late_done
        moved = {}  # replaced as a whole: another thread may read it
        for partition, position in positions.items():
            waits = position < ends.get(partition, 0)
            stands = waits and not goes_on and self._positions.get(partition) == position
            moved[partition] = self._moved[partition] if stands else now
        self._positions, self._moved, self._late_done = dict(positions), moved, late_done

    def problems(self, now: float) -> list[str]:
        """Say what is wrong; empty for a worker that is alive."""
        found = []
        silent = now - self._answered
        if silent > self.silence_seconds:
            found.append(f"no broker has answered for {silent:.0f} s")
        waiting = self._answered - self._assigned
        if waiting > 2 * self.stall_seconds:
            found.append(f"the group has assigned no partitions for {waiting:.0f} s")
        for partition, moved in sorted(self._moved.items()):
            if self._answered - moved > self.stall_seconds:
                found.append(
                    f"partition {partition} stands still for {self._answered - moved:.0f} s, "
                    "and messages wait"
                )
        return found
