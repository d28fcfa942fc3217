"""The agent that both services share: consume, process, deliver, save, then acknowledge.

The order is what makes delivery at-least-once: outputs are delivered before the state that calls
them done is saved, and both before a message is acknowledged. What waits is taken together; while
it is processed more is fetched, and what came before is delivered.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from typing import Any, Final, Generic, cast

import faust
from faust.types import TP, EventT, StreamT, TableT

from schemas import Headers, encode_event, encode_event_headers
from services.kafka.errors import DeliveryError
from services.kafka.faust_fixes import CarefulConsumer
from services.kafka.faust_records import to_record, waiting_events
from services.observing.logs import message_fields
from services.observing.tracing import Tracer
from services.observing.worker_metrics import Metrics
from services.processing.advancing import Advancer
from services.processing.core import Core, Output, Outputs, Saved, State, Turn
from services.processing.letter_log import LetterLog
from services.processing.offsets import OffsetTracker
from services.processing.records import DeadLetter, Record, Step
from services.processing.saved_states import SavedStates

logger = logging.getLogger(__name__)

#: Messages that are taken together at most. What comes of one waits for all of them, so that with
#: twice as many half load has twice the latency; with half as many the throughput falls.
_MAX_TOGETHER: Final = 16
#: Batches on their way to the broker at most; then consuming waits.
MAX_IN_FLIGHT: Final = 4
#: How often states are saved, and what they cover is acknowledged: a killed worker repeats so much.
SAVE_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 1.0
_SAVED_SWEEP_EVERY: Final = 10
#: A process that was away for longer may have lost its partitions: the shortest session is 3 s.
_STALL_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Live(Generic[State]):
    tp: TP
    state: State
    touched: float


@dataclass(frozen=True, slots=True)
class _Delivery(Generic[State, Saved, Output]):
    """Steps of one generation, and the messages that came of them, on their way to the broker."""

    generation: int
    steps: list[tuple[TP, str, Step[State, Saved, Output]]] = field(default_factory=list)
    pending: list[Awaitable[Any]] = field(default_factory=list)


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
        Saved states as bytes by key, with a changelog.
    outputs
        Where to write.
    metrics
        What counts the work.
    tracer
        What carries trace context on.
    """

    def __init__(
        self,
        app: faust.App,
        core: Core[State, Saved, Output],
        source: str,
        table: TableT[str, bytes],
        outputs: Outputs,
        metrics: Metrics,
        tracer: Tracer,
    ) -> None:
        self.app = app
        self.core = core
        self.source = source
        self.outputs = outputs
        self.saved = SavedStates(table, core)
        self._changelog = table.changelog_topic.get_topic_name()
        self.metrics = metrics
        self._tracer = tracer
        self._advancer = Advancer(core, metrics)
        self._letter_log = LetterLog()
        self._deliveries: asyncio.Queue[_Delivery[State, Saved, Output]] = asyncio.Queue(
            MAX_IN_FLIGHT
        )
        self._processing = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._queue: Any = None
        self._stopped = False
        self._generation = 0
        self.is_assigned = False
        self._reset()

    def _reset(self) -> None:
        """Forget everything that a replay of the log brings back."""
        self._generation += 1
        self._live: dict[str, _Live[State]] = {}
        self._unsaved: dict[str, Saved] = {}
        self._delivered: dict[str, Saved] = {}
        self._released: list[tuple[TP, int]] = []
        self._trackers: dict[TP, OffsetTracker[Any]] = {}
        self._assigned_at: dict[int, float] = {}

    # -- to be seen from other threads -------------------------------------------------------

    @property
    def live_streams(self) -> int:
        """Number of open streams."""
        return len(self._live)

    @property
    def positions(self) -> dict[int, int | None]:
        """Next offset to process by assigned partition; ``None`` where no message came yet."""
        found = {}
        for partition in list(self._assigned_at):
            tracker = self._trackers.get(TP(self.source, partition))
            seen = None if tracker is None else tracker.last_seen
            found[partition] = None if seen is None else seen + 1
        return found

    # -- consuming ---------------------------------------------------------------------------

    async def consume(self, stream: StreamT[bytes]) -> None:
        """Process the messages of a stream; the body of the agent."""
        queue = self._queue = cast("faust.Topic", stream.channel).queue
        async for event in cast("faust.Stream[bytes]", stream).noack().events():
            generation = self._generation
            async with self._processing:
                if generation == self._generation and not self._stopped:
                    waiting = islice(waiting_events(self.app, queue), _MAX_TOGETHER - 1)
                    await self._process_or_crash([event, *waiting])

    def has_room(self) -> bool:
        """Tell whether another message can be queued at once."""
        return self._queue is not None and not self._queue.full()

    async def _process_or_crash(self, events: Sequence[EventT[bytes]]) -> None:
        """Process messages; end the worker rather than go on with a hole in the log."""
        try:
            await self._process(events)
        except Exception as error:
            logger.exception("cannot go on after %s", events[0].message.tp)
            await self.app.crash(error)
            raise

    async def _process(self, events: Iterable[EventT[bytes]]) -> None:
        """Take in messages that wait together, and hand over what comes of them."""
        generation = self._generation
        streams: dict[str, list[Record]] = {}
        for event in events:
            message, record = event.message, to_record(event)
            self._warn_of_gap(message.tp, message.offset)
            if self._tracker(message.tp).add(message.offset, message):
                self.metrics.consumed(record.place)
                message.value = None  # the log is the buffer: keep the place, not the bytes
                key = _state_key(message.partition, self.core.stream_id(record))
                streams.setdefault(key, []).append(record)
        began_ns = time.time_ns()
        turns = [Turn(self._state(key), records) for key, records in streams.items()]
        results = await self._advancer.advance(turns)
        if generation != self._generation:
            return
        delivery: _Delivery[State, Saved, Output] = _Delivery(generation)
        for (key, records), result in zip(streams.items(), results, strict=True):
            for record, steps in zip(records, result, strict=False):  # fewer after a halt
                with self._tracer.span(record, began_ns) as traceparent:
                    for step in steps:
                        await self._send_step(delivery, key, step, record, traceparent)
        await self._deliveries.put(delivery)

    def _warn_of_gap(self, tp: TP, offset: int) -> None:
        """Tell of offsets that never came, be it by compaction, retention or a transaction."""
        last_seen = self._tracker(tp).last_seen
        consumer = cast("CarefulConsumer", self.app.consumer)
        awaited = consumer.begin_of(tp) if last_seen is None else last_seen + 1
        if awaited is not None and offset > awaited:
            logger.warning("%s: offsets %d to %d did not come", tp, awaited, offset - 1)

    def _state(self, key: str) -> State | None:
        if key in self._live:
            return self._live[key].state
        saved = self._unsaved.get(key) or self.saved.load(key)
        return None if saved is None else self._resume(key, saved)

    def _resume(self, key: str, saved: Saved) -> State | None:
        """Take a stream up again; it begins anew rather than fail at every start."""
        try:
            return self.core.resume(_stream_id(key), saved)
        except Exception:
            logger.exception("stream %s begins anew: its saved state cannot be used", key)
            return None

    def _tracker(self, tp: TP) -> OffsetTracker[Any]:
        return self._trackers.setdefault(tp, OffsetTracker())

    def committable(self, tp: TP) -> int | None:
        """Tell up to where a partition is done with; ``None`` when nothing of it was seen."""
        tracker = self._trackers.get(tp)
        return None if tracker is None else tracker.committable  # an empty one is false

    # -- delivering --------------------------------------------------------------------------

    async def _send_step(
        self,
        delivery: _Delivery[State, Saved, Output],
        key: str,
        step: Step[State, Saved, Output],
        cause: Record | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Move a stream on by a step, and publish what came of it."""
        tp = self._tp(key)
        if step.note:
            fields = self._log_fields(cause) if cause else {"stream": _stream_id(key)}
            logger.info("%s: %s", cause.place if cause else tp, step.note, extra=fields)
        if step.state is None:
            self._live.pop(key, None)
        else:
            self._live[key] = _Live(tp, step.state, time.monotonic())
        if step.saved is not None:
            self._unsaved[key] = step.saved
        delivery.steps.append((tp, key, step))
        for event in step.events:
            delivery.pending.append(
                await self._send(
                    self.outputs.events[type(event)],
                    event.stream_id.encode(),
                    encode_event(event),
                    encode_event_headers(event, step.timestamp_ms, traceparent),
                    step.timestamp_ms,
                    tp.partition if self.outputs.same_partition else None,
                )
            )
        for letter in step.dead_letters:
            delivery.pending.append(await self._send_letter(letter))

    async def _send_letter(self, letter: DeadLetter) -> Awaitable[Any]:
        record = letter.record
        if line := self._letter_log.line(letter, time.monotonic()):
            logger.warning("%s", line, extra=self._log_fields(record))
        headers = letter.headers(self.core.service)
        topic = self.outputs.dead_letters
        return await self._send(topic, record.key, record.value, headers)

    def _log_fields(self, record: Record) -> dict[str, Any]:
        return message_fields(record, self.core.service, self.core.stream_id(record))

    async def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Awaitable[Any]:
        """Hand a message over; without a time it gets that of now."""
        seconds = None if timestamp_ms is None else timestamp_ms / 1000
        return await self.app.producer.send(topic, key, value, partition, seconds, headers)

    async def deliver(self) -> None:
        """Await deliveries in order and settle them, for ever."""
        while True:
            delivery = await self._deliveries.get()
            try:
                await self._delivery_of(delivery.pending)
                self._count(delivery)
                if delivery.generation == self._generation:
                    self._settle(delivery)
            finally:
                self._deliveries.task_done()

    def _settle(self, delivery: _Delivery[State, Saved, Output]) -> None:
        """Note what is delivered: it may be saved, and acknowledged after that."""
        for tp, key, step in delivery.steps:
            if step.saved is not None:
                self._delivered[key] = step.saved
            self._released += [(tp, offset) for offset in step.released]

    async def _delivery_of(self, pending: Sequence[Awaitable[Any]]) -> None:
        """Wait until the broker has messages; end the worker if it does not take one."""
        try:
            for acknowledgement in pending:
                await acknowledgement
        except Exception as error:
            reason = f"the broker did not take a message of the {self.core.service}: {error!r}"
            await self.app.crash(DeliveryError(reason))
            raise

    def _count(self, delivery: _Delivery[State, Saved, Output]) -> None:
        now = time.time()
        for _, _, step in delivery.steps:
            self.metrics.delivered(step, self.outputs, now)

    # -- saving ------------------------------------------------------------------------------

    async def save_regularly(self) -> None:
        """Save what is delivered, for ever."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self._save()

    async def _save(self) -> None:
        """Save the streams that went on, then acknowledge all that their states cover."""
        async with self._saving:
            generation = self._generation
            delivered, self._delivered = self._delivered, {}
            released, self._released = self._released, []
            await self._write({key: self.saved.encode(saved) for key, saved in delivered.items()})
            if generation != self._generation:
                return
            for key, saved in delivered.items():
                if self._unsaved.get(key) is saved:
                    del self._unsaved[key]
            for tp, offset in released:
                for message in self._tracker(tp).release(offset):
                    self.app.consumer.ack(message)

    async def _write(self, states: dict[str, bytes | None]) -> None:
        """Write states to the changelog, and to the table once they are delivered.

        The last state of each partition goes alone: the embedded broker (Tansu) takes the first
        record of the last batch for the end of a log, and recovery reads up to the end.
        """
        generation, now = self._generation, round(1000 * time.time())
        last = {self._tp(key).partition: key for key in states}
        for keys in (states.keys() - set(last.values()), last.values()):
            pending = [
                await self._send(
                    self._changelog,
                    self.saved.encode_key(key),
                    states[key],
                    [],
                    now,
                    self._tp(key).partition,
                )
                for key in keys
            ]
            await self._delivery_of(pending)
        if generation == self._generation:
            for key, value in states.items():
                self.saved.put(key, value)

    # -- partitions come and go --------------------------------------------------------------

    async def drain(self) -> None:
        """Wait until what is being processed is delivered and saved, and commit it."""
        self._advancer.halt()
        async with self._processing:
            await self._save_all()
            await self.app.consumer.commit()

    async def on_shutdown(self, *_: Any, **__: Any) -> None:
        """Finish what is in hand; the rest stays in the log."""
        self._stopped = True
        await self.drain()

    async def on_revoked(self, *_: Any, **__: Any) -> None:
        """Finish what is in hand and forget the rest: the next owner replays it from the log."""
        self.is_assigned = False
        try:
            await self.drain()
        finally:  # else a worker that goes on would pass over all that comes
            self._reset()
            self._advancer.resume()

    async def on_assigned(self, *arguments: Any, **_: Any) -> None:
        """Note since when partitions are ours: an idle stream gets its whole timeout anew."""
        assigned: set[TP] = arguments[-1]
        self._assigned_at = {
            tp.partition: time.monotonic() for tp in assigned if tp.topic == self.source
        }
        self.is_assigned = True
        partitions = ", ".join(map(str, sorted(self._assigned_at))) or "none"
        logger.info("%s ready: %s, partitions %s", self.core.service, self.source, partitions)

    # -- streams that fell silent ------------------------------------------------------------

    async def sweep(self) -> None:
        """Close idle streams, and drop what no replay can need, for ever."""
        before = time.monotonic()
        while True:
            for _ in range(_SAVED_SWEEP_EVERY):
                await asyncio.sleep(_SWEEP_SECONDS)
                if line := self._letter_log.summary(time.monotonic()):
                    logger.warning("%s", line)
                before, seconds = time.monotonic(), time.monotonic() - before
                if seconds > _STALL_SECONDS:
                    self._wait_anew()
                async with self._processing:
                    await self._close_idle()
            async with self._processing:
                await self._sweep_saved()

    def _wait_anew(self) -> None:
        """Give every stream its whole timeout again after this process stood still.

        It may have lost its partitions and not know yet: what it ends now, their new owner may not.
        """
        now = time.monotonic()
        self._live = {key: replace(live, touched=now) for key, live in self._live.items()}
        self._assigned_at = dict.fromkeys(self._assigned_at, now)

    async def _close_idle(self) -> None:
        timeout = self.core.idle_timeout_seconds
        if timeout is None:
            return
        idle_since, generation = time.monotonic() - timeout, self._generation
        closing = {}
        for key, live in list(self._live.items()):
            if live.touched < idle_since and not self._stopped and self._caught_up(live.tp):
                fields = {"service": self.core.service, "stream": _stream_id(key)}
                logger.info("stream %s is idle: closed", _stream_id(key), extra=fields)
                closing[key] = await self._advancer.run(self.core.close, live.state)
        for steps in zip_longest(*closing.values()):
            await self._save_all()  # of the steps before
            if generation != self._generation:
                return
            delivery: _Delivery[State, Saved, Output] = _Delivery(generation)
            for key, step in zip(closing, steps, strict=True):
                if step is not None:
                    await self._send_step(delivery, key, step)
            await self._deliveries.put(delivery)

    async def _save_all(self) -> None:
        """Save all that was sent, once it is delivered."""
        await self._deliveries.join()
        await self._save()

    def _caught_up(self, tp: TP) -> bool:
        """Tell whether every message of a partition was processed; only then is silence real."""
        end = cast("CarefulConsumer", self.app.consumer).end_offset(tp)
        last_seen = self._tracker(tp).last_seen
        return end is not None and (last_seen is None or last_seen + 1 >= end)

    async def _sweep_saved(self) -> None:
        """Go through the table: forget what is over, take up what waits for an end.

        Not before the table is recovered: until then it may hold what is no longer true, from when
        a partition was ours before, or from the midst of the changelog.
        """
        if not self.app.tables.actives_ready:
            return
        now = time.time()
        expired: dict[str, bytes | None] = {}
        for key in self.saved:
            tp = self._tp(key)
            is_ours = tp.partition in self._assigned_at
            if not is_ours or key in self._live or key in self._unsaved:
                continue  # what is another's is read anew before it is ours again
            entry = self.saved.entry(key)
            committed = self.app.monitor.tp_committed_offsets.get(tp)
            if not entry or self.core.is_expired(entry[0], committed, now - entry[1]):
                expired[key] = None
            elif self.core.is_open(entry[0]):
                state = self._resume(key, entry[0])
                if state is not None:
                    self._live[key] = _Live(tp, state, self._assigned_at[tp.partition])
        async with self._saving:
            await self._write(expired)

    def _tp(self, key: str) -> TP:
        return TP(self.source, int(key.partition("/")[0]))


def _state_key(partition: int, stream_id: str) -> str:
    """Tell streams of one id in several partitions apart."""
    return f"{partition}/{stream_id}"


def _stream_id(key: str) -> str:
    return key.partition("/")[2]
