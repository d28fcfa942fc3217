"""The receiver on Kafka: its share of the topic ``stations``, a task for each station of it."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from schemas import (
    Station,
    StationEvent,
    decode_event,
    encode_chunk_headers,
    encode_event,
    encode_event_headers,
    to_milliseconds,
)
from schemas.errors import MessageError
from services.kafka.groups import receiver_group
from services.kafka.security import client_options
from services.kafka.tansu_fixes import adapt_waits
from services.kafka.topics import Topics
from services.receiver.directory import Directory
from services.receiver.history import History
from services.receiver.lease import Lease, watch_heartbeats
from services.receiver.outbox import Message
from services.receiver.playing import Stations
from services.receiver.station_metrics import StationMetrics
from services.receiver.stations_file import read_stations
from services.settings import FETCH_WAIT_MS, MAX_MESSAGE_BYTES, Settings

_log = logging.getLogger(__name__)

_DRAIN_SECONDS: Final = 2.0
_POLL_MS: Final = 500
_OBSERVE_SECONDS: Final = 1.0


def _commands(settings: Settings) -> frozenset[tuple[str, str]]:
    """Return id and address of what this machine may run: what stands in its own file."""
    stations = read_stations(settings.stations) if settings.stations else []
    return frozenset((station.id, station.url) for station in stations)


class Agent(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Listens to the stations of its partitions until it is cancelled."""

    def __init__(self, settings: Settings, metrics: StationMetrics) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._metrics = metrics
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._lease = Lease(settings.session_timeout_seconds)
        self._directory = Directory()
        self._stations = Stations(
            *(self._name, self._deliver, self._may_send, History(settings), metrics),
            commands=_commands(settings),
        )
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
            resources.push_async_callback(self._stations.stop)
            observing = asyncio.create_task(self._observe())
            resources.callback(observing.cancel)
            while True:
                batches = await consumer.getmany(timeout_ms=_POLL_MS)
                self.polled = time.monotonic()
                for partition, records in batches.items():
                    await self._take(partition, records)

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

        A group that rebalances answers heartbeats, too: the lease alone would let us send. What is
        on its way arrives before we join, so that others read it when they number on.
        """
        self._lease.lapse()
        self._owned = frozenset()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._producer.flush()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Leave the stations that are another receiver's now, or may have been meanwhile.

        A member that the group forgot comes back by another id. Others numbered its stations on,
        so it begins them anew, even those whose partitions it gets back.
        """
        owned = frozenset(tp.partition for tp in assigned)
        member, before = self._consumer._coordinator.member_id, self._member
        self._member = member
        # All of this before anything is awaited: messages of these partitions may come at once.
        left = self._stations.leave(owned if before in ("", member) else ())
        self._directory.assign(owned)
        self._owned = owned
        self.ready = True
        self._confirming = asyncio.create_task(self._confirm())
        await self._stations.end(left)

    async def _confirm(self) -> None:
        """Ask the group at once, instead of waiting for the next heartbeat."""
        with contextlib.suppress(KafkaError):
            await self._consumer._coordinator._do_heartbeat()

    def _may_send(self, partition: int) -> bool:
        return self._lease.valid and partition in self._owned

    async def _take(self, partition: TopicPartition, records: Sequence[Any]) -> None:
        """Take messages of ``stations``: stations that are new, changed or removed."""
        number = partition.partition
        for record in records:
            station_id = (record.key or b"").decode(errors="replace")
            self._directory.take(number, station_id, self._decode(station_id, record.value))
        if records[-1].offset + 1 >= (self._consumer.highwater(partition) or 0):
            self._directory.reached_end(number)
        if self._directory.is_complete(number):
            await self._stations.follow(self._directory.wanted(), self._directory.is_complete)

    def _decode(self, station_id: str, value: bytes | None) -> Station | None:
        if not value:
            return None
        try:
            station = decode_event(value, Station)
        except MessageError as error:
            _log.warning("the station %s is not understood: %s", station_id[:100], error)
            return None
        return station if station.id == station_id else None

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
            for receiver in self._stations.receivers():
                self._metrics.observe(receiver, time.time())


def _detail(event: StationEvent) -> str:
    if event.title:
        return f": {event.title}"
    if event.message:
        return f": {event.message}"
    return f": {event.missing_seconds:.1f} s are missing" if event.missing_seconds else ""
