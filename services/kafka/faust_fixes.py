"""faust's app and consumer, without their ways to lose messages and to hang.

Of faust-streaming 0.15.3 and aiokafka 0.14; each fix with its symptom, the thread it runs on, and
the test that fails without it, in ``tests/kafka/test_faust_fixes.py`` where no other file is named.

`readable`, loop: a record in a changelog that is no state of ours kept recovery from ending.
    ``tests/kafka/test_latest_table.py::test_what_is_no_state_is_void``
`CarefulConsumer.getmany`, loop: messages went through streams, queues and acknowledgements, each of
    which drops some in a rebalance; what came later was committed over the hole.
    ``tests/kafka/test_faust_log.py::test_what_was_passed_over_comes_again``
`PromptThread.seek_to_begin`, consumer: aiokafka's `seek_to_committed` seeks nowhere where 0 or
    nothing is committed; the first messages of a partition were lost.
    ``test_every_partition_is_sought``
`CarefulConsumer.perform_seek`, loop: faust resumes the flow although another rebalance began while
    it sought, or the seek took too long; messages were processed before their states were there.
    ``test_a_rebalance_while_seeking_opens_nothing``
`App.opened`, loop: a partition comes without its changelog while the leader's metadata is old;
    streams began anew in their midst. ``test_a_partition_without_its_changelog_is_refused``
`CarefulConsumer._getmany`, loop: faust empties the set of active partitions while a fetch waits,
    and aiokafka takes an empty one for all; records of paused partitions were dropped.
    ``test_a_fetch_keeps_the_partitions_that_it_began_with``. One of changelogs alone is short, for
    it would hold up the source behind recovery. ``test_a_fetch_of_changelogs_is_short``
`CarefulConsumer._wait_next_records`, loop: what is fetched while a changelog is sought is dropped;
    recovery waited for ever. ``test_what_comes_late_is_put_back``
`CarefulConsumer.verify_event_path`, loop: the check for livelocks fails while a seek is under way;
    workers crashed in rebalances. ``test_no_livelock_is_seen_in_a_seek``
`PromptThread._create_consumer`, consumer: fetches wait 1.5 s, and read what is not committed.
    ``test_fetches_wait_as_long_as_we_say_and_read_what_is_committed``
`PromptThread.close`, loop: faust closes connections of another thread, which uvloop does not bear;
    a segmentation fault. ``test_an_app_that_stops_in_a_rebalance_keeps_its_consumer``
`App._crash`, loop: services wait for each other after a crash; the process stayed.
    ``tests/faults/test_failing.py::test_a_worker_that_cannot_go_on_ends``
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, cast

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.tables.recovery import RebalanceAgain
from faust.transport.consumer import RecordMap
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP, Message
from faust.types.transports import ConsumerT

from services.kafka.aiokafka_fixes import let_others_go_first, tolerate_batches
from services.kafka.errors import StateError
from services.kafka.faust_log import FaustLog, Read
from services.kafka.latest_table import LatestTable, readable
from services.kafka.security import naming_lost_rights
from services.kafka.sending import send
from services.kafka.tansu_fixes import adapt_waits
from services.processing.log import Message as Outgoing
from services.processing.records import Progress
from services.settings import FETCH_WAIT_MS

logger = logging.getLogger("services.kafka.app")  # faust's classes say more under __name__

#: A broker answers a fetch within 1.5 s, with messages or without.
_LATELY_SECONDS: Final = 10.0
#: Shorter than faust's own limit, after which it goes on without having sought.
_SEEK_SECONDS: Final = 30.0
#: Of a fetch that leaves something out which may be wanted soon.
_SHORT_SECONDS: Final = 0.02


class App(faust.App):
    """A faust app whose source topic goes to a `FaustLog`, and to no agent.

    Parameters
    ----------
    app_id
        Consumer group, and prefix of the changelog topic.
    source
        Name of the topic to read.
    table
        Name of the table of states.
    partitions
        Number of partitions of both.
    progress
        Tells how far a state is.
    configuration
        faust's settings.

    Attributes
    ----------
    source_log
        What is read, and where to write.
    failure
        Why this process ends; ``None`` while it does not.
    """

    def __init__(
        self,
        app_id: str,
        source: str,
        table: str,
        partitions: int,
        progress: Callable[[Any], Progress],
        configuration: Mapping[str, Any],
    ) -> None:
        super().__init__(app_id, **configuration, Table=partial(LatestTable, progress))
        self.failure: BaseException | None = None
        self._source = self.topic(
            source,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
        )
        states = self.Table(
            table,
            partitions=partitions,
            key_type=str,
            value_type=bytes,
            extra_topic_configs={"cleanup.policy": "compact"},
        )
        self.source = source
        self.changelog = states.changelog_topic.get_topic_name()
        self.source_log = FaustLog(self, self.changelog, cast("Any", states).data)
        self._when_opened: list[Callable[[Iterable[int]], None]] = []
        self._when_failed: list[Callable[[], None]] = []

    def when_opened(self, callback: Callable[[Iterable[int]], None]) -> None:
        """Call this with the partitions that are ours, once their states are recovered."""
        self._when_opened.append(callback)

    def when_failed(self, callback: Callable[[], None]) -> None:
        """Call this when the process cannot go on."""
        self._when_failed.append(callback)

    async def on_first_start(self) -> None:
        """Subscribe to the source topic, which no agent does."""
        self.topics.add(self._source)
        await super().on_first_start()

    def _create_directories(self) -> None:
        """Make no folder for faust's data, as it does by default: our tables are in memory."""

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        if self.failure is None:
            self.failure = reason
            for callback in self._when_failed:
                callback()

    def opened(self, begins: Mapping[int, int], committed: Mapping[int, int]) -> None:
        """Begin with partitions at these offsets.

        Raises
        ------
        StateError
            One came without its changelog.
        """
        assignment = self.consumer.assignment()
        stateless = [n for n in sorted(begins) if TP(self.changelog, n) not in assignment]
        if stateless:
            raise StateError(
                f"partitions {stateless} of {self.source} came without those of "
                f"{self.changelog}: the group's view of the topics is old; start this worker again"
            )
        self.source_log.open(begins, committed)
        for callback in self._when_opened:
            callback(begins)
        names = ", ".join(map(str, sorted(begins))) or "none"
        logger.info("%s ready: %s, partitions %s", self.conf.id, self.source, names)

    async def publish(self, message: Outgoing) -> Awaitable[object]:
        """Hand a message over; without a time it gets that of now."""
        return await send(self.producer, message)

    def end_offset(self, partition: int) -> int | None:
        """Return the end of a partition of the source, as heard a moment ago."""
        return self._careful.end_offset(TP(self.source, partition))

    async def commit_offsets(self, offsets: Mapping[int, int]) -> bool:
        """Commit offsets of the source; tell whether that went well."""
        return await self._careful.commit_offsets({TP(self.source, n): offsets[n] for n in offsets})

    @property
    def _careful(self) -> "CarefulConsumer":
        return cast("CarefulConsumer", self.consumer)

    def _new_consumer(self) -> ConsumerT:
        tolerate_batches()
        self.transport.Consumer = CarefulConsumer  # type: ignore[misc]
        return super()._new_consumer()


class Fetched(dict[TP, list[Any]]):
    """What a fetch brought, and where it began and ended in each partition."""

    def __init__(
        self, records: Mapping[TP, list[Any]], begins: Mapping[TP, int], ends: Mapping[TP, int]
    ) -> None:
        super().__init__(records)
        self.begins = begins
        self.ends = ends


class CarefulConsumer(Consumer):
    """Reads without passing over anything, and seeks where a new owner would begin."""

    _seeks: int = 0

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _app(self) -> App:
        return cast("App", self.app)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek partitions, as of changelogs, to offsets."""
        self._seeks += 1
        await super().seek_wait(partitions)
        self._seeks += 1  # a fetch may have begun meanwhile

    async def perform_seek(self) -> None:
        """Seek the source's partitions to where a new owner begins, and open them.

        Raises
        ------
        RebalanceAgain
            Another rebalance began meanwhile.
        TimeoutError
            The broker does not tell what is committed.
        """
        rebalances = self.app.rebalancing_count
        mine = {tp for tp in self.assignment() if tp.topic == self._app.source}
        self._seeks += 1
        async with asyncio.timeout(_SEEK_SECONDS):
            begins, committed = await cast("PromptThread", self._thread).seek_to_begin(mine)
        self._seeks += 1
        if rebalances != self.app.rebalancing_count:
            raise RebalanceAgain
        self._app.opened(_by_number(begins), _by_number(committed))

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Give faust what is of changelogs, and our log what is of the source."""
        records, _ = await self._wait_next_records(timeout)
        if self.should_stop or not isinstance(records, Fetched):
            return
        for tp in filter(self._is_changelog_tp, records):
            for record in readable(records[tp]):
                yield tp, self._to_message(tp, record)
        if self.flow_active:
            await self._read(records)

    async def _read(self, fetched: Fetched) -> None:
        """Hand over what was read, and go back where something was passed over."""
        source = self._app.source
        reads = {
            tp.partition: Read(begin, fetched.ends.get(tp, begin), fetched.get(tp, ()))
            for tp, begin in fetched.begins.items()
            if tp.topic == source
        }
        back = self._app.source_log.begin_again(reads)
        if back:
            logger.warning("%s: going back to %s, which was passed over", source, back)
            await self.seek_wait({TP(source, number): offset for number, offset in back.items()})
        good = {number: read for number, read in reads.items() if number not in back}
        self._app.source_log.put(good)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:
        active = frozenset(active_partitions or ())
        wanted = active - {TP(self._app.source, number) for number in self._app.source_log.full}
        if not wanted:
            await asyncio.sleep(_SHORT_SECONDS)
            return {}
        is_short = len(wanted) < len(active) or all(map(self._is_changelog_tp, wanted))
        with naming_lost_rights():
            return await super()._getmany(wanted, _SHORT_SECONDS if is_short else timeout)  # type: ignore[arg-type]

    async def _wait_next_records(self, timeout: float) -> tuple[RecordMap | None, set[TP] | None]:
        seeks = self._seeks
        records, active = await super()._wait_next_records(timeout)
        if seeks == self._seeks and self.flow_active:
            return records, active
        if records:
            begins = {tp: found[0].offset for tp, found in records.items() if found}
            await cast("PromptThread", self._thread).put_back(begins)
        return {}, active

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets of partitions that are ours; tell whether that went well."""
        mine = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        return bool(mine) and await self._commit(mine)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:  # noqa: ARG002
        """Leave it to checkpoints to commit."""
        return iter(())

    def end_offset(self, tp: TP) -> int | None:
        """Return the offset behind the last message that is committed, as heard a moment ago.

        ``None`` when nothing was heard lately: what is old says nothing of messages since.
        """
        if tp not in self.assignment():
            return None
        consumer = self._thread._ensure_consumer()
        heard_ms = consumer.last_poll_timestamp(tp)
        if heard_ms is None or time.time() - heard_ms / 1000 > _LATELY_SECONDS:
            return None
        stable = consumer.last_stable_offset(tp)
        known = stable is not None and stable >= 0
        return cast("int | None", stable if known else consumer.highwater(tp))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave out faust's check for livelocks, which fails in a seek; all it does is warn."""


class PromptThread(AIOKafkaConsumerThread):
    """faust's thread for the consumer, which tells where each fetch began and ended."""

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
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(self, consumer: AIOKafkaConsumer, *some: Any, **other: Any) -> Any:
        begins = _positions(consumer)
        records = await super()._fetch_records(consumer, *some, **other)
        let_others_go_first(consumer, records)
        return Fetched(records, begins, _positions(consumer))

    async def seek_to_begin(self, partitions: Iterable[TP]) -> tuple[dict[TP, int], dict[TP, int]]:
        """Seek partitions to what is committed, or else to the beginning of their log.

        Returns
        -------
        Where each was sought to, and what is committed.
        """
        consumer = self._ensure_consumer()
        found = await self.call_thread(self._seek_to_begin, consumer, list(partitions))
        return cast("tuple[dict[TP, int], dict[TP, int]]", found)

    async def _seek_to_begin(
        self, consumer: AIOKafkaConsumer, partitions: list[TP]
    ) -> tuple[dict[TP, int], dict[TP, int]]:
        places = {tp: TopicPartition(tp.topic, tp.partition) for tp in partitions}
        known = await consumer._coordinator.fetch_committed_offsets(list(places.values()))
        committed = {
            tp: known[place].offset
            for tp, place in places.items()
            if place in known and known[place].offset >= 0
        }
        fresh = [tp for tp in places if tp not in committed]
        firsts = await consumer.beginning_offsets([places[tp] for tp in fresh]) if fresh else {}
        begins = committed | {tp: firsts[places[tp]] for tp in fresh}
        for tp, offset in begins.items():
            consumer.seek(places[tp], offset)
        return begins, committed

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


def _positions(consumer: AIOKafkaConsumer) -> dict[TP, int]:
    """Return where the next read of each partition begins, where that is known."""
    subscription = consumer._subscription.subscription
    if subscription is None or subscription.assignment is None:
        return {}
    states = {tp: subscription.assignment.state_value(tp) for tp in subscription.assignment.tps}
    return {
        TP(tp.topic, tp.partition): state.position
        for tp, state in states.items()
        if state is not None and state.has_valid_position
    }


def _by_number(offsets: Mapping[TP, int]) -> dict[int, int]:
    return {tp.partition: offset for tp, offset in offsets.items()}
