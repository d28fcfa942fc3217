"""What is to be delivered: a queue a channel, bounded; the rest waits in Kafka."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from services.notifier.delivery import Refused, Unreachable, backoff, deliver
from services.notifier.memory import Due, Entry, due_key, encode
from services.notifier.rules import Channel
from services.observing.service_metrics import ServiceMetrics

logger = logging.getLogger(__name__)

#: Notifications in memory for one channel, of some 500 bytes each.
MAX_WAITING: Final = 1_000


class NotifierMetrics:
    """What a notifier counts."""

    def __init__(self) -> None:
        metrics = self.service = ServiceMetrics("notifier")
        self.decided = metrics.counter("notifications", "Notifications decided", "rule", "kind")
        self.delivered = metrics.counter("delivered", "Notifications delivered", "channel")
        self.failed = metrics.counter("failures", "Failed tries, tried again", "channel")
        self.refused = metrics.counter("refused", "Notifications given up", "channel")


class Memory:
    """Writes ``notifier.sent``."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def save(self, *entries: tuple[str, Entry | None]) -> None:
        """Write records in their order, and wait until all are there; ``None`` removes a key."""
        futures = [
            await self._producer.send(
                self._topic, None if entry is None else encode(entry), key=key.encode()
            )
            for key, entry in entries
        ]
        await asyncio.gather(*futures)


@dataclass
class Outbox:
    """Delivers what is due, each channel by itself: one that is down holds up no other.

    A queue holds at most `MAX_WAITING`. What comes beyond is in ``notifier.sent`` anyway, and is
    read from there when the queue is empty.

    Parameters
    ----------
    channels
        By name.
    memory
        Where deliveries are noted.
    metrics
        What is counted.
    bury
        Takes what a channel refuses for good, and why.
    owned
        Returns the topics and partitions that are ours.
    saved
        Reads what is noted as due, oldest first.
    """

    channels: dict[str, Channel]
    memory: Memory
    metrics: NotifierMetrics
    bury: Callable[[Due, str], Any]
    owned: Callable[[], frozenset[str]]
    saved: Callable[[], Awaitable[list[Due]]]
    waiting: dict[str, dict[str, Due]] = field(default_factory=dict)
    _left: set[str] = field(default_factory=set)
    _refilling: set[str] = field(default_factory=set)
    _queues: dict[str, asyncio.Queue[Due]] = field(default_factory=dict)

    def add(self, due: Due) -> None:
        """Queue a notification, once; where there is no room it waits in Kafka."""
        if due.source not in self.owned() or due.channel not in self.channels:
            return
        if due.channel in self._left or due.channel in self._refilling:
            self._left.add(due.channel)
        else:
            self._queue(due)

    def _queue(self, due: Due) -> None:
        waiting = self.waiting.setdefault(due.channel, {})
        if due_key(due) in waiting:
            return
        if len(waiting) < MAX_WAITING:
            waiting[due_key(due)] = due
            self._queue_of(due.channel).put_nowait(due)
        else:
            self._left.add(due.channel)
            logger.warning("%s does not keep up: notifications wait in Kafka", due.channel)

    def _queue_of(self, channel: str) -> asyncio.Queue[Due]:
        return self._queues.setdefault(channel, asyncio.Queue())

    async def run(self) -> None:
        """Deliver, for ever."""
        await asyncio.gather(*(self._serve(channel) for channel in self.channels.values()))

    async def _serve(self, channel: Channel) -> None:
        queue = self._queue_of(channel.name)
        while True:
            if queue.empty() and channel.name in self._left:
                await self._refill(channel.name)
            due = await queue.get()
            if await self._deliver(channel, due):
                await self.memory.save((due_key(due), None))
            self.waiting[channel.name].pop(due_key(due), None)

    async def _refill(self, channel: str) -> None:
        """Queue what waits in Kafka; what is decided meanwhile waits there, too."""
        self._left.discard(channel)
        self._refilling.add(channel)
        try:
            for due in await self.saved():
                ours = due.channel == channel and due.source in self.owned()
                if ours and channel not in self._left:
                    self._queue(due)
        finally:
            self._refilling.discard(channel)

    async def _deliver(self, channel: Channel, due: Due) -> bool:
        """Deliver, or give up; tell whether it is done, or another notifier's by now."""
        attempt = 0
        while due.source in self.owned():
            try:
                await deliver(channel, due.notification)
            except Refused as error:
                self.metrics.refused.labels(channel.name).inc()
                logger.warning("%s; it is not tried again", error)
                await self.bury(due, str(error))
                return True
            except Unreachable as error:
                self.metrics.failed.labels(channel.name).inc()
                if not attempt:
                    logger.warning("%s; it is tried again", error)
                await asyncio.sleep(backoff(attempt))
                attempt += 1
            else:
                self.metrics.delivered.labels(channel.name).inc()
                return True
        return False
