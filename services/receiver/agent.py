"""The receiver on Kafka: its share of the topic ``stations``, a task for each station of it."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from schemas import (
    AudioChunk,
    Station,
    StationEvent,
    decode_event,
    encode_chunk_headers,
    encode_event,
    encode_event_headers,
    to_milliseconds,
)
from schemas.errors import MessageError
from services.kafka.security import client_options
from services.kafka.tansu_fixes import adapt_waits
from services.kafka.topics import Topics
from services.receiver.history import History
from services.receiver.lease import Lease, watch_heartbeats
from services.receiver.outbox import Message, Outbox
from services.receiver.receiver import Receiver
from services.receiver.station_metrics import StationMetrics
from services.settings import FETCH_WAIT_MS, MAX_MESSAGE_BYTES, Settings

_log = logging.getLogger(__name__)

_DRAIN_SECONDS: Final = 2.0
_POLL_MS: Final = 500
_OBSERVE_SECONDS: Final = 1.0


def receiver_group(settings: Settings) -> str:
    """Return the name of the receivers' group."""
    return f"{settings.topic_prefix}genrestream-receiver"


@dataclass
class _Task:
    """A station that we listen to."""

    station: Station
    partition: int
    running: asyncio.Task[None]
    sending: asyncio.Task[None]
    outbox: Outbox
    receiver: Receiver | None = None


class Agent(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Listens to the stations of its partitions until it is cancelled."""

    def __init__(self, settings: Settings, metrics: StationMetrics) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._metrics = metrics
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._lease = Lease(settings.session_timeout_seconds)
        self._history = History(settings)
        self._tasks: dict[str, _Task] = {}
        self._owned: frozenset[int] = frozenset()
        self._member = ""
        self._producer: Any = None
        self.ready = False
        self.polled = time.monotonic()

    async def run(self) -> None:
        """Take part in the group, for ever."""
        async with contextlib.AsyncExitStack() as resources:
            self._producer = await self._start_producer()
            resources.push_async_callback(self._producer.stop)
            consumer = await self._start_consumer()
            resources.push_async_callback(consumer.stop)
            resources.push_async_callback(self._stop_stations, lambda _: True)
            observing = asyncio.create_task(self._observe())
            resources.callback(observing.cancel)
            while True:
                batches = await consumer.getmany(timeout_ms=_POLL_MS)
                self.polled = time.monotonic()
                for partition, records in batches.items():
                    for record in records:
                        await self._take(partition.partition, record)

    async def _start_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **client_options(self._settings),
            max_request_size=MAX_MESSAGE_BYTES + 64 * 1024,
            request_timeout_ms=round(1000 * max(2.0, self._lease.seconds)),
            acks="all",
        )
        await producer.start()
        return producer

    async def _start_consumer(self) -> AIOKafkaConsumer:
        session_ms = round(1000 * self._settings.session_timeout_seconds)
        consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            group_id=receiver_group(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(200, session_ms // 10),
            rebalance_timeout_ms=max(session_ms, 10_000),
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        await consumer.start()
        adapt_waits(consumer)
        watch_heartbeats(consumer, self._lease)
        self._consumer = consumer
        consumer.subscribe([self._topics.stations], listener=self)
        return consumer

    async def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        """Listen on, but send nothing, until it is known which partitions stay ours.

        A group that rebalances answers heartbeats, too: the lease alone would let us send.
        """
        self._lease.lapse()
        self._owned = frozenset()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Leave the stations that are another receiver's now, or may have been meanwhile.

        A member that the group forgot comes back by another id. Others numbered its stations on,
        so it begins them anew, even those whose partitions it gets back.
        """
        owned = frozenset(tp.partition for tp in assigned)
        member, before = self._consumer._coordinator.member_id, self._member
        self._member = member
        kept = owned if before in ("", member) else frozenset()
        await self._stop_stations(lambda task: task.partition not in kept)
        self._owned = owned
        self.ready = True
        self._confirming = asyncio.create_task(self._confirm())

    async def _confirm(self) -> None:
        """Ask the group at once, instead of waiting for the next heartbeat."""
        with contextlib.suppress(KafkaError):
            await self._consumer._coordinator._do_heartbeat()

    async def _take(self, partition: int, record: Any) -> None:
        """Take a message of ``stations``: a station that is new, changed or removed."""
        station_id = (record.key or b"").decode(errors="replace")
        station = self._decode(station_id, record.value)
        current = self._tasks.get(station_id)
        if current and current.station == station:
            return
        if current:
            await self._stop_stations(lambda task: task is current)
        if station is not None and partition in self._owned:
            self._start_station(station, partition)

    def _decode(self, station_id: str, value: bytes | None) -> Station | None:
        if not value:
            return None
        try:
            station = decode_event(value, Station)
        except MessageError as error:
            _log.warning("the station %s is not understood: %s", station_id[:100], error)
            return None
        return station if station.id == station_id else None

    def _start_station(self, station: Station, partition: int) -> None:
        def may_send() -> bool:
            return self._lease.valid and partition in self._owned

        outbox = Outbox(self._deliver, may_send)
        sending = asyncio.create_task(outbox.run())
        running = asyncio.create_task(self._listen(station, outbox))
        self._tasks[station.id] = _Task(station, partition, running, sending, outbox)

    async def _listen(self, station: Station, outbox: Outbox) -> None:
        try:
            heard = await self._history.last(station.id)
            receiver = Receiver(station, _Listener(outbox), name=self._name, heard=heard)
            self._tasks[station.id].receiver = receiver
            await receiver.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("the station %s stopped by a fault of ours", station.id)

    async def _stop_stations(self, choose: Any) -> None:
        stopped = [task for task in self._tasks.values() if choose(task)]
        for task in stopped:
            del self._tasks[task.station.id]
            task.running.cancel()
        await asyncio.gather(*(task.running for task in stopped), return_exceptions=True)
        if stopped and self._lease.valid:
            await asyncio.gather(*(task.outbox.drain(_DRAIN_SECONDS) for task in stopped))
        for task in stopped:
            task.sending.cancel()
            self._metrics.remove(task.station.id)
        await asyncio.gather(*(task.sending for task in stopped), return_exceptions=True)

    async def _deliver(self, message: Message) -> None:
        if isinstance(message, StationEvent):
            _log.info("%s: %s%s", message.station_id, message.kind, _detail(message))
            at_ms = to_milliseconds(message.at)
            future = await self._producer.send(
                self._topics.station_events,
                value=encode_event(message),
                key=message.station_id.encode(),
                headers=encode_event_headers(message, at_ms),
            )
        else:
            future = await self._producer.send(
                self._topics.chunks,
                value=message.data,
                key=(message.stream_id or "").encode(),
                headers=encode_chunk_headers(message),
            )
        await future

    async def _observe(self) -> None:
        while True:
            await asyncio.sleep(_OBSERVE_SECONDS)
            for task in list(self._tasks.values()):
                if task.receiver:
                    self._metrics.observe(task.receiver, time.time())


class _Listener:
    """Passes what a receiver reports to its outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def chunk(self, chunk: AudioChunk) -> None:
        """Take a chunk."""
        self._outbox.put(chunk)

    def event(self, event: StationEvent) -> None:
        """Take an event."""
        self._outbox.put(event)

    def observed(self, receiver: Receiver) -> None:
        """Metrics are read each second; nothing is to do."""


def _detail(event: StationEvent) -> str:
    if event.title:
        return f": {event.title}"
    if event.message:
        return f": {event.message}"
    return f": {event.missing_seconds:.1f} s are missing" if event.missing_seconds else ""
