"""The one consumer of the gateway: reads the topics, changes the board, tells the hub.

It belongs to no group and commits nothing: it reads from a while ago on, so that the board is right
after a start.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import GenrestreamError
from services.gateway.board import Board
from services.gateway.events import apply, gone, status
from services.gateway.hub import Hub
from services.gateway.replay import message_of
from services.kafka.security import client_options
from services.kafka.tansu_fixes import adapt_waits
from services.kafka.topics import Topics, require_topics
from services.settings import FETCH_WAIT_MS, MAX_MESSAGE_BYTES, Settings

logger = logging.getLogger(__name__)

_DAY_MS: Final = 86_400_000
#: How far back each topic is read at a start; ``None`` for all of it.
_BACK_MS: Final[Mapping[str, int | None]] = {
    "predictions": 90_000,
    "segments": _DAY_MS,
    "stations": None,
    "station_events": 7 * _DAY_MS,
    "features": 0,
}
_ROLES: Final = tuple(_BACK_MS)
#: The topics that events come from, in the order of the cursor.
_TOLD_ROLES: Final = ("predictions", "segments", "stations", "station_events")
_RETRY_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 4.0
_BATCH: Final = 500
_FORGET_SECONDS: Final = 20.0


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return round(time.time() * 1000)


@dataclass
class Feed:
    """Reads for ever; `board` and `hub` hold what came.

    Attributes
    ----------
    trouble
        What is wrong with the broker, in words; ``None`` while it answers.
    since_ms
        Since when.
    unrecorded_since_ms
        Since when the recorder stands still; ``None`` while it goes on, or where there is none.
    all_read
        Set when all that was there at the start is read.
    """

    settings: Settings
    board: Board
    hub: Hub
    trouble: str | None = "the gateway has not reached the broker yet"
    since_ms: int = field(default_factory=now_ms)
    unrecorded_since_ms: int | None = None
    all_read: asyncio.Event = field(default_factory=asyncio.Event)
    messages: int = 0
    observe_delay: Callable[[float], None] = lambda _: None
    _ends: dict[TopicPartition, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Read until cancelled; a broker that goes away is waited for."""
        while True:
            try:
                await self._read()
            except (KafkaError, GenrestreamError, OSError, TimeoutError) as error:
                self._set_trouble(str(error) or type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    def status(self) -> dict[str, Any]:
        """Say how the feed is, as events of kind ``status`` do."""
        state = "ok" if self.trouble is None else "broker-away"
        text = self.trouble or "all is well"
        unrecorded = self.unrecorded_since_ms
        return {"state": state, "since": self.since_ms, "text": text, "unrecorded": unrecorded}

    def set_unrecorded(self, since_ms: int | None) -> None:
        """Take note that nothing is recorded since then, or that it is again, and tell pages."""
        if since_ms == self.unrecorded_since_ms:
            return
        self.unrecorded_since_ms = since_ms
        self.hub.tell(status(self.status()))
        if since_ms is None:
            logger.info("the recorder goes on")
        else:
            logger.warning("the recorder stands still: history waits in Kafka")

    def _set_trouble(self, trouble: str | None) -> None:
        if (trouble is None) != (self.trouble is None):
            self.since_ms = now_ms()
            self.trouble = trouble
            self.hub.tell(status(self.status()))
            logger.log(
                logging.WARNING if trouble else logging.INFO,
                "%s",
                trouble or "the broker answers again",
            )
        self.trouble = trouble

    async def _read(self) -> None:
        names = Topics(self.settings.topic_prefix)
        roles = {getattr(names, role): role for role in _ROLES}
        counts = await require_topics(self.settings, list(roles), "read")
        consumer = AIOKafkaConsumer(
            **client_options(self.settings),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            request_timeout_ms=10_000,
        )
        try:
            await consumer.start()
            adapt_waits(consumer)
            partitions = [TopicPartition(t, n) for t in roles for n in range(counts[t])]
            consumer.assign(partitions)
            await self._take_places(consumer, partitions, roles)
            self._set_trouble(None)
            check = asyncio.create_task(self._check(consumer, partitions))
            try:
                await self._consume(consumer, roles, check)
            finally:
                check.cancel()
        finally:
            await consumer.stop()

    async def _take_places(
        self,
        consumer: AIOKafkaConsumer,
        partitions: list[TopicPartition],
        roles: Mapping[str, str],
    ) -> None:
        """Seek to where reading begins, or goes on after a loss of the broker."""
        ends = await consumer.end_offsets(partitions)
        places = {tp: self.hub.offsets.get((roles[tp.topic], tp.partition)) for tp in partitions}
        # Not by our places: the embedded broker claims too low an end (see TopicReader).
        known = self._ends.keys() == ends.keys()
        goes_on = known and all(ends[tp] >= end for tp, end in self._ends.items())
        if not goes_on:
            places = await begin_offsets(consumer, partitions, roles)
            self.board.streams.clear()
            self.hub.begin(
                {
                    (role, tp.partition): places[tp] or 0
                    for role in _TOLD_ROLES
                    for tp in partitions
                    if roles[tp.topic] == role
                }
            )
            self.hub.tell(status({"state": "reset", "text": "the topics are new: load anew"}))
        for tp in partitions:
            place = places[tp]
            consumer.seek(tp, ends[tp] if place is None else place)
        self._ends = dict(ends)
        self.all_read.clear()

    async def _consume(
        self, consumer: AIOKafkaConsumer, roles: Mapping[str, str], check: "asyncio.Task[None]"
    ) -> None:
        forget_at = time.monotonic() + _FORGET_SECONDS
        while not check.done():
            batches = await consumer.getmany(timeout_ms=200, max_records=_BATCH)
            for tp, records in batches.items():
                self._take(roles[tp.topic], tp.partition, records)
            if not self.caught_up:
                await self._see_whether_caught_up(consumer)
            if time.monotonic() > forget_at:
                forget_at = time.monotonic() + _FORGET_SECONDS
                self._forget()
            await asyncio.sleep(0)
        check.result()

    def _take(self, role: str, partition: int, records: list[Any]) -> None:
        now = now_ms()
        self.messages += len(records)
        for record in records:
            events = apply(self.board, message_of(role, record), now)
            if role in _TOLD_ROLES:
                self.hub.publish((role, partition), record.offset, events)
            if role == "predictions" and self.caught_up:
                self.observe_delay(max(0.0, (now_ms() - record.timestamp) / 1000))

    @property
    def caught_up(self) -> bool:
        """Whether all that was there at the start is read."""
        return self.all_read.is_set()

    async def _see_whether_caught_up(self, consumer: AIOKafkaConsumer) -> None:
        behind = [tp for tp, end in self._ends.items() if await consumer.position(tp) < end]
        if not behind:
            self.all_read.set()

    def _forget(self) -> None:
        for stream_id in self.board.forget(now_ms()):
            self.hub.tell(gone(stream_id))

    async def _check(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Ask the broker for its ends now and then: a consumer alone waits without a word.

        Raises
        ------
        KafkaError
            What we have read is not there any more: the topics are new.
        """
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    ends = await consumer.end_offsets(partitions)
            except (KafkaError, TimeoutError, OSError):
                self._set_trouble("the Kafka broker does not answer: the gateway keeps trying")
                continue
            for tp in partitions:
                if ends[tp] < await consumer.position(tp) and ends[tp] < self._ends[tp]:
                    raise KafkaError(f"{tp.topic} begins anew")
            self._ends = dict(ends)
            self._set_trouble(None)


async def begin_offsets(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], roles: Mapping[str, str]
) -> dict[TopicPartition, int | None]:
    """Return where reading begins: so long ago as each topic needs; ``None`` for its end."""
    now = now_ms()
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    times = {tp: now - back for tp in partitions if (back := _BACK_MS[roles[tp.topic]])}
    found = await _offsets_for(consumer, times)
    places: dict[TopicPartition, int | None] = {}
    for tp in partitions:
        back = _BACK_MS[roles[tp.topic]]
        if back is None:
            places[tp] = begins[tp]
        else:
            places[tp] = found.get(tp, ends[tp]) if back else ends[tp]
    return places


async def _offsets_for(
    consumer: AIOKafkaConsumer, times: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    found = await consumer.offsets_for_times(times) if times else {}
    return {tp: place.offset for tp, place in found.items() if place is not None}
