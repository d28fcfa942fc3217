"""The agent that both services share: consume, process, deliver, then acknowledge.

The order is what makes delivery at-least-once: outputs are delivered before the state that calls
them done is saved, and both before a message is acknowledged. faust flushes its producer before it
commits, so the saved state is in its changelog by then.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, cast

import faust
import msgspec
from faust.types import TP, EventT, StreamT, TableT

from schemas import Headers, Origin, encode_event, encode_event_headers, header
from schemas.errors import InputError, MessageError
from services.runtime.core import Core, Output, Outputs, Saved, State
from services.runtime.errors import DeliveryError
from services.runtime.offsets import OffsetTracker
from services.runtime.records import DeadLetter, Record, Step
from services.runtime.table import Progress

logger = logging.getLogger(__name__)

#: Steps on their way to the broker at most; then consuming waits.
MAX_IN_FLIGHT = 64
_SWEEP_SECONDS = 1.0
#: The end of the year 9999: no clock that is right goes beyond.
_LATEST_SECONDS = 253_402_300_799.0
_SAVED_SWEEP_EVERY = 10


class ProcessingError(InputError):
    """A fault of ours while processing a message."""

    code = "internal-error"


@dataclass(frozen=True, slots=True)
class _Live(Generic[State]):
    tp: TP
    state: State
    touched: float


@dataclass(frozen=True, slots=True)
class _Delivery(Generic[State, Saved, Output]):
    tp: TP
    key: str
    step: Step[State, Saved, Output]
    pending: Sequence[Awaitable[Any]]
    generation: int


class StreamWorker(Generic[State, Saved, Output]):
    """Runs a core on the partitions that are assigned to this process.

    Parameters
    ----------
    app
        The faust app.
    core
        What to do with a message.
    source
        Name of the topic to read.
    table
        Saved state by stream id, with a changelog.
    outputs
        Where to write.
    """

    def __init__(
        self,
        app: faust.App,
        core: Core[State, Saved, Output],
        source: str,
        table: TableT[str, Any],
        outputs: Outputs,
    ) -> None:
        self.app = app
        self.core = core
        self.source = source
        self.table = table
        self.outputs = outputs
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=core.service)
        self._deliveries: asyncio.Queue[_Delivery[State, Saved, Output]] = asyncio.Queue(
            MAX_IN_FLIGHT
        )
        self._processing = asyncio.Lock()
        self._generation = 0
        self._reset()

    def _reset(self) -> None:
        """Forget everything that a replay of the log brings back."""
        self._generation += 1
        self._live: dict[str, _Live[State]] = {}
        self._unsaved: dict[str, Saved] = {}
        self._trackers: dict[TP, OffsetTracker[Any]] = {}
        self._assigned_at: dict[int, float] = {}

    # -- consuming ---------------------------------------------------------------------------

    async def consume(self, stream: StreamT[bytes]) -> None:
        """Process the messages of a stream; the body of the agent."""
        async for event in cast("faust.Stream[bytes]", stream).noack().events():
            generation = self._generation
            async with self._processing:
                if generation == self._generation:
                    await self._handle_or_crash(event, generation)

    async def _handle_or_crash(self, event: EventT[bytes], generation: int) -> None:
        """Handle a message; end the worker rather than go on with a hole in the log."""
        try:
            await self._handle(event, generation)
        except Exception as error:
            logger.exception("cannot go on after %s", event.message.tp)
            await self.app.crash(error)
            raise

    async def _handle(self, event: EventT[bytes], generation: int) -> None:
        message = event.message
        record = _to_record(event)
        if not self._tracker(message.tp).add(message.offset, message):
            return
        message.value = None  # the log is the buffer: keep the place, not the bytes
        key = _state_key(message.tp.partition, self.core.stream_id(record))
        steps = await self._run(self._advance, key, record)
        if generation == self._generation:
            for step in steps:
                await self._submit(message.tp, key, step, record)

    async def _run(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, function, *arguments
        )

    def _advance(self, key: str, record: Record) -> Sequence[Step[State, Saved, Output]]:
        state = self._state(key)
        try:
            return self.core.advance(state, record)
        except Exception as error:
            logger.exception("processing failed: %s", record.place)
            fault = ProcessingError(f"{type(error).__name__}: {error}")
            letter = DeadLetter(record, fault)
            return [Step(state, dead_letters=(letter,), released=(record.place.offset,))]

    def _state(self, key: str) -> State | None:
        if key in self._live:
            return self._live[key].state
        saved = self._unsaved.get(key) or self._load(key)
        return None if saved is None else self.core.resume(_stream_id(key), saved)

    def _load(self, key: str) -> Saved | None:
        value = self.table.data.get(key)
        return None if value is None else self._saved(value)

    def _saved(self, entry: dict[str, Any]) -> Saved:
        return msgspec.convert(entry["state"], self.core.saved_type)

    def progress(self, entry: dict[str, Any]) -> Progress:
        """Order the table's entries of one stream: the larger is the later."""
        return self.core.progress(self._saved(entry))

    def _tracker(self, tp: TP) -> OffsetTracker[Any]:
        return self._trackers.setdefault(tp, OffsetTracker())

    def committable(self, tp: TP) -> int | None:
        """Tell up to where a partition is done with; ``None`` when nothing of it was seen."""
        tracker = self._trackers.get(tp)
        return None if tracker is None else tracker.committable  # an empty one is false

    # -- delivering --------------------------------------------------------------------------

    async def _submit(
        self, tp: TP, key: str, step: Step[State, Saved, Output], cause: Record | None
    ) -> None:
        """Publish what came of a message, and queue what is to be done once it is delivered."""
        if step.state is None:
            self._live.pop(key, None)
        else:
            self._live[key] = _Live(tp, step.state, time.monotonic())
        if step.saved is not None:
            self._unsaved[key] = step.saved
        traceparent = _traceparent(cause)
        pending = [
            await self._send(
                self.outputs.events,
                event.stream_id.encode(),
                encode_event(event),
                encode_event_headers(event, step.timestamp_ms, traceparent),
                step.timestamp_ms,
                tp.partition if self.outputs.same_partition else None,
            )
            for event in step.events
        ]
        for letter in step.dead_letters:
            record = letter.record
            logger.warning("dead letter: %s: %s", record.place, letter.error)
            headers = letter.headers(self.core.service)
            pending.append(
                await self._send(
                    self.outputs.dead_letters,
                    record.key,
                    record.value,
                    headers,
                )
            )
        await self._deliveries.put(_Delivery(tp, key, step, pending, self._generation))

    async def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: Headers,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Awaitable[Any]:
        """Hand a message over; without a time it gets that of now."""
        seconds = None if timestamp_ms is None else timestamp_ms / 1000
        return await self.app.producer.send(topic, key, value, partition, seconds, headers)

    async def deliver(self) -> None:
        """Await deliveries in order and acknowledge what they were made from, for ever."""
        while True:
            delivery = await self._deliveries.get()
            try:
                for acknowledgement in delivery.pending:
                    await acknowledgement
                if delivery.generation == self._generation:
                    self._settle(delivery)
            except Exception as error:
                reason = f"the broker did not take a message of stream {_stream_id(delivery.key)}"
                await self.app.crash(DeliveryError(f"{reason}: {error!r}"))
                raise
            finally:
                self._deliveries.task_done()

    def _settle(self, delivery: _Delivery[State, Saved, Output]) -> None:
        saved, key = delivery.step.saved, delivery.key
        if saved is not None:
            entry = {
                "partition": delivery.tp.partition,
                "saved_at": time.time(),
                "state": msgspec.to_builtins(saved),
            }
            self._put(delivery.tp.partition, key, entry)
            if self._unsaved.get(key) is saved:
                del self._unsaved[key]
        tracker = self._tracker(delivery.tp)
        for offset in delivery.step.released:
            for message in tracker.release(offset):
                self.app.consumer.ack(message)

    def _put(self, partition: int, key: str, value: dict[str, Any] | None) -> None:
        """Write to the table and its changelog, outside of the agent's own task."""
        if value is None:
            self.table.data.pop(key, None)
            self.table.send_changelog(partition, key, None, value_serializer="raw")
        else:
            self.table.data[key] = value
            self.table.send_changelog(partition, key, value)

    # -- partitions come and go --------------------------------------------------------------

    async def drain(self) -> None:
        """Wait until what is being processed is delivered, and commit it."""
        async with self._processing:
            await self._deliveries.join()
            await self.app.consumer.commit()

    async def on_shutdown(self, *_: Any, **__: Any) -> None:
        """Finish what is in hand; the rest stays in the log."""
        await self.drain()

    async def on_revoked(self, *_: Any, **__: Any) -> None:
        """Finish what is in hand and forget the rest: the next owner replays it from the log."""
        await self.drain()
        self._reset()

    async def on_assigned(self, *arguments: Any, **_: Any) -> None:
        """Note since when partitions are ours: an idle stream gets its whole timeout anew."""
        assigned: set[TP] = arguments[-1]
        self._assigned_at = {
            tp.partition: time.monotonic() for tp in assigned if tp.topic == self.source
        }
        partitions = ", ".join(map(str, sorted(self._assigned_at))) or "none"
        logger.info("%s ready: %s, partitions %s", self.core.service, self.source, partitions)

    # -- streams that fell silent ------------------------------------------------------------

    async def sweep(self) -> None:
        """Close idle streams, and drop what no replay can need, for ever."""
        while True:
            for _ in range(_SAVED_SWEEP_EVERY):
                await asyncio.sleep(_SWEEP_SECONDS)
                async with self._processing:
                    await self._close_idle()
            async with self._processing:
                self._sweep_saved()

    async def _close_idle(self) -> None:
        timeout = self.core.idle_timeout_seconds
        if timeout is None:
            return
        idle_since = time.monotonic() - timeout
        generation = self._generation
        idle = [(key, live) for key, live in self._live.items() if live.touched < idle_since]
        for key, live in idle:
            if not self._caught_up(live.tp):
                continue
            step = await self._run(self.core.close, live.state)
            if generation != self._generation:
                return
            logger.info("stream %s is idle for %g s: closed", _stream_id(key), timeout)
            await self._submit(live.tp, key, step, None)

    def _caught_up(self, tp: TP) -> bool:
        """Tell whether every message of a partition was processed; only then is silence real."""
        end = self.app.consumer.highwater(tp)
        last_seen = self._tracker(tp).last_seen
        return end is not None and (last_seen is None or last_seen + 1 >= end)

    def _sweep_saved(self) -> None:
        """Go through the table: forget what is over, take up what waits for an end."""
        now = time.time()
        for key, entry in list(self.table.data.items()):
            tp = TP(self.source, entry["partition"])
            if tp.partition not in self._assigned_at:
                self.table.data.pop(key, None)
                continue
            if key in self._live or key in self._unsaved:
                continue
            saved = self._saved(entry)
            committed = self.app.monitor.tp_committed_offsets.get(tp)
            if self.core.is_expired(saved, committed, now - entry["saved_at"]):
                self._put(tp.partition, key, None)
            elif self.core.is_open(saved):
                state = self.core.resume(_stream_id(key), saved)
                self._live[key] = _Live(tp, state, self._assigned_at[tp.partition])


def _state_key(partition: int, stream_id: str) -> str:
    """Tell streams of one id in several partitions apart."""
    return f"{partition}/{stream_id}"


def _stream_id(key: str) -> str:
    return key.partition("/")[2]


def _to_record(event: EventT[bytes]) -> Record:
    message = event.message
    return Record(
        place=Origin(message.topic, message.partition, message.offset),
        timestamp_ms=round(1000 * min(max(message.timestamp, 0.0), _LATEST_SECONDS)),
        key=message.key,
        value=message.value or b"",
        headers=_header_list(message.headers),
    )


def _header_list(headers: Any) -> Headers:
    """Return headers as pairs: aiokafka gives a sequence, faust sometimes a mapping."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return [(name, value or b"") for name, value in pairs]


def _traceparent(cause: Record | None) -> str | None:
    try:
        return header(cause.headers, "traceparent") if cause else None
    except MessageError:
        return None
