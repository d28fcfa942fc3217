"""Messages to faust's producer; what is too large for a topic comes back as an error of its own."""

import asyncio
from collections.abc import Awaitable, Generator
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka.errors import (
    BrokerResponseError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from faust.exceptions import ProducerSendError

from services.kafka.security import lost_right
from services.processing.errors import DeliveryError, RefusedBySize
from services.processing.log import Message

#: Of the producer's own limit, of one message, and of a batch; the last two are the broker's.
_BY_SIZE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


async def send(producer: Any, message: Message) -> Awaitable[object]:
    """Hand a message over; what comes back raises `RefusedBySize` where it is too large."""
    ms = message.timestamp_ms
    try:
        sent = await producer.send(
            message.topic,
            message.key,
            message.value,
            message.partition,
            None if ms is None else ms / 1000,
            message.headers,
        )
    except ProducerSendError as error:
        cause = error.__cause__
        if cause and (lost := lost_right(cause)):
            raise lost from cause
        if not isinstance(cause, _BY_SIZE):
            raise
        sent = _failed(cause)
    return _Sent(sent, message.topic)


def _failed(error: BrokerResponseError) -> asyncio.Future[object]:
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    future.exception()  # nobody may await it
    return future


def _wrong_clock(topic: str) -> str:
    return (
        f"the broker refuses a message for {topic} by its time: this machine's clock says "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; set it right, as by NTP (a topic takes messages "
        "up to an hour ahead of its broker: message.timestamp.after.max.ms)"
    )


class _Sent(Awaitable[object]):
    """A message on its way."""

    def __init__(self, sent: Awaitable[object], topic: str) -> None:
        self._sent = sent
        self._topic = topic

    def __await__(self) -> Generator[Any, Any, object]:
        try:
            return (yield from self._sent.__await__())
        except KafkaError as error:
            if lost := lost_right(error):
                raise lost from error
            if isinstance(error, InvalidTimestampError):
                raise DeliveryError(_wrong_clock(self._topic)) from error
            if isinstance(error, _BY_SIZE):
                raise RefusedBySize(f"{self._topic} takes no message so large: {error}") from error
            raise
