"""faust's consumer, without its ways to lose messages and to crash (faust-streaming 0.15.3)."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import faust
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from faust.types.transports import ConsumerT


class App(faust.App):
    """A faust app with a `CarefulConsumer`; set `committable` before it runs.

    Attributes
    ----------
    committable
        Tells the offset that a partition may be committed at, ``None`` for no change.
    worker
        What runs on it.
    """

    committable: Callable[[TP], int | None]
    worker: Any

    def begin_of(self, tp: TP) -> int | None:
        """Return the offset that a partition was last sought to, ``None`` for its beginning."""
        return cast("CarefulConsumer", self.consumer).begin_of(tp)

    def _new_consumer(self) -> ConsumerT:
        self.transport.Consumer = CarefulConsumer  # type: ignore[misc]
        return super()._new_consumer()


class CarefulConsumer(Consumer):
    """Goes back to the beginning where nothing is committed, and commits what is processed.

    A fetch that is under way in a rebalance takes messages of the new assignment, which faust then
    drops and seeks back to what is committed; with nothing committed it never saw them again.

    faust takes a seek back in the midst of a batch for a hole in the log, and commits past all that
    is in the "hole", be it processed or not.
    """

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition to where a new owner would begin."""
        committed = await super().seek_to_committed()
        offsets: Mapping[TP, int | None] = committed  # faust's own type leaves the None out
        fresh = [
            tp for tp, offset in offsets.items() if offset is None and not self._is_changelog_tp(tp)
        ]
        if fresh:
            await self._thread.seek_to_beginning(*fresh)
        return committed

    def begin_of(self, tp: TP) -> int | None:
        """Return the offset that a partition was last sought to, or has been committed at since."""
        return self._committed_offset.get(tp)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave out faust's check for livelocks, which ends the worker while a seek is under way.

        All it does is warn, of chunks that wait for the rest of their window, too.
        """

    def on_buffer_full(self, tp: TP) -> None:
        """Let the full queue of the agent hold the consumer back, which it does by itself.

        faust would fetch nothing more of the partition, and once all are full sleep for a second,
        however soon the agent has taken what waits.
        """

    def _new_offset(self, tp: TP) -> int | None:
        for book in (self._acked, self._acked_index, self._gap):
            book.pop(tp, None)
        return cast("App", self.app).committable(tp)
