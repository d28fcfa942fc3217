"""faust's consumer, without its ways to lose messages and to crash (faust-streaming 0.15.3)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, cast

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.consumer import RecordMap
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP, Message
from faust.types.transports import ConsumerT

from services.kafka.aiokafka_fixes import tolerate_header_names
from services.kafka.tansu_fixes import adapt_waits
from services.settings import FETCH_WAIT_MS

#: A broker answers a fetch within 1.5 s, with messages or without.
_LATELY_SECONDS: Final = 10.0


class App(faust.App):
    """A faust app with a `CarefulConsumer`; set its attributes before it runs.

    Attributes
    ----------
    committable
        Tells the offset that a partition may be committed at, ``None`` for no change.
    has_room
        Tells whether the agent's queue takes another message without waiting.
    worker
        What runs on it.
    """

    committable: Callable[[TP], int | None]
    has_room: Callable[[], bool]
    worker: Any

    def _new_consumer(self) -> ConsumerT:
        tolerate_header_names()
        self.transport.Consumer = CarefulConsumer  # type: ignore[misc]
        return super()._new_consumer()


class CarefulConsumer(Consumer):
    """Goes back to the beginning where nothing is committed, and commits what is processed.

    A fetch that is under way in a rebalance takes messages of the new assignment, which faust then
    drops and seeks back to what is committed; with nothing committed it never saw them again.

    And what was fetched before a seek, or is dropped after it, comes late: faust would take it for
    what is at the new place, and pass over what really is there. So it is put back, be it chunks or
    the changelog, whose recovery would wait for ever.

    faust takes a seek back in the midst of a batch for a hole in the log, and commits past all that
    is in the "hole", be it processed or not.
    """

    _seeks: int = 0

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek partitions, as of changelogs, to offsets."""
        self._seeks += 1
        await super().seek_wait(partitions)
        self._seeks += 1  # a fetch may have begun meanwhile

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition to where a new owner would begin."""
        self._seeks += 1
        committed = await super().seek_to_committed()
        offsets: Mapping[TP, int | None] = committed  # faust's own type leaves the None out
        fresh = [
            tp for tp, offset in offsets.items() if offset is None and not self._is_changelog_tp(tp)
        ]
        if fresh:
            await self._thread.seek_to_beginning(*fresh)
        self._seeks += 1
        return committed

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Hand messages to the agent where there is room, and leave the others to faust.

        faust makes four tasks of every message, to wait for room or for a rebalance.
        """
        app = cast("App", self.app)
        async for tp, message in super().getmany(timeout):
            if self._is_changelog_tp(tp) or not (self.flow_active and app.has_room()):
                yield tp, message
                continue
            read = self._read_offset[tp]
            if read is None or message.offset >= read:
                await self.callback(message)
                self._read_offset[tp] = message.offset

    async def _wait_next_records(self, timeout: float) -> tuple[RecordMap | None, set[TP] | None]:
        seeks = self._seeks
        records, active = await super()._wait_next_records(timeout)
        if records and (seeks != self._seeks or not self.flow_active):
            begins = {tp: found[0].offset for tp, found in records.items() if found}
            await cast("PromptThread", self._thread).put_back(begins)
            records = {}
        return records, active

    def begin_of(self, tp: TP) -> int | None:
        """Return the offset that a partition was last sought to, or has been committed at since."""
        return self._committed_offset.get(tp)

    def end_offset(self, tp: TP) -> int | None:
        """Return the offset behind the last message of a partition, as heard a moment ago.

        ``None`` when nothing was heard lately: what is old says nothing of messages since.
        """
        if tp not in self.assignment():
            return None
        consumer = self._thread._ensure_consumer()
        heard_ms = consumer.last_poll_timestamp(tp)
        if heard_ms is None or time.time() - heard_ms / 1000 > _LATELY_SECONDS:
            return None
        return cast("int | None", consumer.highwater(tp))

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


class PromptThread(AIOKafkaConsumerThread):
    """faust's thread for the consumer, whose fetches would be held back for 1.5 s."""

    async def on_start(self) -> None:
        """Start the consumer."""
        await super().on_start()
        adapt_waits(self._ensure_consumer())

    def close(self) -> None:
        """Leave it to `on_thread_stop` to stop the consumer, of an app that stops in a rebalance.

        faust would close its connections before the last states are saved, and from another thread,
        which uvloop does not bear.
        """

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> AIOKafkaConsumer:
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def put_back(self, offsets: Mapping[TP, int]) -> None:
        """Go back to offsets, where a seek has not gone back further since."""
        await self.call_thread(self._put_back, self._ensure_consumer(), offsets)

    async def _put_back(self, consumer: AIOKafkaConsumer, offsets: Mapping[TP, int]) -> None:
        subscription = consumer._subscription.subscription
        for tp, offset in offsets.items():
            if tp in consumer.assignment():
                state = subscription.assignment.state_value(tp)
                if state.has_valid_position and state.position > offset:
                    consumer.seek(tp, offset)
