"""The log as the processor sees it: one topic of several partitions, and the states beside it.

`services.kafka.faust_log` implements it on faust, `tests.processing.memory_log` in memory.
"""

from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas import Headers
from services.processing.records import Record


@dataclass(frozen=True, slots=True)
class Message:
    """A message to send; without a time it gets that of now."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)
    timestamp_ms: int | None = None
    partition: int | None = None


class Log(Protocol):
    """What the processor reads and writes.

    It hands out the records of a partition in order and without holes: what it passes over is not
    in the log.
    """

    @property
    def states(self) -> MutableMapping[str, bytes]:
        """Saved states by key, recovered from the changelog before a partition is handed out."""

    async def wait(self) -> None:
        """Wait until there is something to take."""

    def take(self, most: int) -> Sequence[Record]:
        """Take the records that wait, so many at most."""

    def put_back(self, records: Sequence[Record]) -> None:
        """Let records wait again, before all others: they were taken last, and nobody began them.

        Parameters
        ----------
        records
            In the order of the log.
        """

    def hold(self, partition: int, held: bool) -> None:
        """Hand out nothing of a partition while it is held."""

    async def send(self, message: Message) -> Awaitable[object]:
        """Hand a message over; what comes back is done when the log has it."""

    async def save(self, partition: int, states: Mapping[str, bytes | None]) -> None:
        """Write states to the changelog and wait until it has them; ``None`` removes one."""

    def position(self, partition: int) -> int:
        """Return the offset from which on `take` has handed out nothing."""

    def end(self, partition: int) -> int | None:
        """Return the offset behind the last message; ``None`` when nothing was heard lately."""

    def committed(self, partition: int) -> int | None:
        """Return the offset from which a new owner would begin, if known."""

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Let new owners begin at these offsets, by partition."""

    async def crash(self, error: Exception) -> None:
        """End this process: it must not go on."""
