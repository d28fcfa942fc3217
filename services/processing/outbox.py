"""What comes of messages, sent: events, dead letters, and the lines of the log on them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic

from schemas import Event, Place, encode_event, encode_event_headers
from schemas.echo import echo
from schemas.errors import GenrestreamError, MessageTooLarge
from services.processing.core import Core, Output, Outputs, Saved, State
from services.processing.delivery import Delivery
from services.processing.errors import DeliveryError, RefusedBySize
from services.processing.letter_log import LetterLog
from services.processing.letters import as_it_is, by_reference, cut
from services.processing.log import Log, Message
from services.processing.log_fields import message_fields
from services.processing.observers import Meter
from services.processing.partition import Moved, Partition
from services.processing.records import DeadLetter, Record, Step

logger = logging.getLogger(__name__)

#: Batches on their way to the broker at most; then consuming waits.
MAX_IN_FLIGHT: Final = 4


@dataclass
class Parcel(Generic[State, Saved, Output]):
    """Steps that go together, and the messages that came of them."""

    steps: list[Moved[State, Saved, Output]] = field(default_factory=list)
    pending: list[Awaitable[Any]] = field(default_factory=list)


class Outbox(Generic[State, Saved, Output]):
    """Sends what comes of messages, and waits for its delivery while more is processed.

    Parameters
    ----------
    log
        Where to send it.
    core
        Of what service.
    outputs
        To which topics.
    meter
        What counts it.
    """

    def __init__(
        self, log: Log, core: Core[State, Saved, Output], outputs: Outputs, meter: Meter
    ) -> None:
        self._log = log
        self._core = core
        self._outputs = outputs
        self._meter = meter
        self._letters = LetterLog()
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def put(
        self,
        parcel: Parcel[State, Saved, Output],
        partition: Partition[State, Saved],
        stream_id: str,
        step: Step[State, Saved, Output],
        cause: Record | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Move a stream on by a step, and send what came of it.

        Parameters
        ----------
        parcel
            What it goes with.
        partition, stream_id, step
            The stream, and what happened to it.
        cause
            The message that caused it; ``None`` for the end of an idle stream.
        traceparent
            What its events are sent with.
        """
        if step.note:
            self._log_note(stream_id, step.note, cause)
        size = 0 if step.state is None else self._core.size(step.state)
        partition.move(stream_id, step, time.monotonic(), size)
        parcel.steps.append((partition, stream_id, step))
        for event in step.events:
            message = self._message(event, step.timestamp_ms, traceparent, partition.number)
            instead = partial(self._instead_of, event, message, cause)
            parcel.pending.append(Delivery(await self._log.send(message), instead))
        for letter in step.dead_letters:
            parcel.pending.append(await self._send_letter(letter))

    def _message(
        self, event: Output, timestamp_ms: int, traceparent: str | None, partition: int
    ) -> Message:
        return Message(
            self._outputs.events[type(event)],
            event.stream_id.encode(),
            encode_event(event),
            encode_event_headers(event, timestamp_ms, traceparent),
            timestamp_ms,
            partition if self._outputs.same_partition else None,
        )

    async def _send_letter(self, letter: DeadLetter) -> Awaitable[Any]:
        record = letter.record
        if line := self._letters.line(letter, time.monotonic()):
            logger.warning("%s", line, extra=self._fields(record))
        topic, service = self._outputs.dead_letters, self._core.service
        whole, *shorter = (
            partial(write, topic, letter, service) for write in (as_it_is, cut, by_reference)
        )
        return await self._send_first(whole, shorter)

    async def _send_first(
        self, message: Callable[[], Message], others: Sequence[Callable[[], Message]]
    ) -> Awaitable[Any]:
        """Send a message, or the first of others that its topic takes."""
        sent = await self._log.send(message())
        if not others:
            return sent
        return Delivery(sent, lambda _: self._send_first(others[0], others[1:]))

    async def _instead_of(
        self, event: Output, message: Message, cause: Record | None, error: RefusedBySize
    ) -> Awaitable[Any]:
        """Send a letter instead of an event that is larger than its topic takes."""
        size, topic = len(message.value or b""), message.topic
        logger.warning("an event of %s bytes is refused by %s: %s", size, topic, echo(str(error)))
        reason = MessageTooLarge(
            f"what comes of it has {size} bytes, more than the topic {topic} takes: raise its "
            "max.message.bytes, or shorten the stream id"
        )
        now_ms = round(1000 * time.time())
        record = cause or Record(_origin(event, topic), now_ms, message.key, message.value or b"")
        step: Step[Any, Any, Any] = Step(None, dead_letters=(DeadLetter(record, reason),))
        self._meter.delivered(step, self._outputs, time.time())
        return await self._send_letter(step.dead_letters[0])

    def _log_note(self, stream_id: str, note: str, cause: Record | None) -> None:
        fields = self._fields(cause) if cause else {"stream": stream_id}
        logger.info("%s: %s", cause.place if cause else echo(stream_id), echo(note), extra=fields)

    def _fields(self, record: Record) -> dict[str, Any]:
        return message_fields(record, self._core.service, self._core.stream_id(record))

    def summary(self) -> str | None:
        """Return the line for the letters that were left out of the log."""
        return self._letters.summary(time.monotonic())

    async def dispatch(self, parcel: Parcel[State, Saved, Output]) -> asyncio.Task[None]:
        """Wait for a parcel's delivery in a task; first for room for that."""
        await self._room.acquire()
        task = asyncio.create_task(self._deliver(parcel))
        task.add_done_callback(self._settle)
        return task

    def _settle(self, task: asyncio.Task[None]) -> None:
        """Make room; that a delivery failed ends the worker by itself."""
        self._room.release()
        if not task.cancelled():
            task.exception()

    async def _deliver(self, parcel: Parcel[State, Saved, Output]) -> None:
        """Wait until the broker has messages; end the worker if it does not take one."""
        await ending(self._log, self._core.service, _all(parcel.pending))
        now = time.time()
        for _, _, step in parcel.steps:
            self._meter.delivered(step, self._outputs, now)


def _origin(event: Event, topic: str) -> Place:
    """Return the place of an event's first chunk, or at least its topic."""
    return getattr(event, "origin", None) or Place(topic, 0, 0)


async def _all(pending: Sequence[Awaitable[Any]]) -> None:
    for acknowledgement in pending:
        await acknowledgement


async def ending(log: Log, service: str, delivery: Awaitable[None]) -> None:
    """Await a delivery; end the worker where it fails."""
    try:
        await delivery
    except Exception as error:
        if isinstance(error, GenrestreamError) and error.says_all:
            await log.crash(error)
            raise
        reason = f"the broker did not take a message of the {service}: {error!r}"
        await log.crash(DeliveryError(reason))
        raise
