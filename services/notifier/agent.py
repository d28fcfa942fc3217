"""The notifier's loop: decide, save, acknowledge; the outbox delivers."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import InputError, SettingsError
from services.kafka.clients import TopicReader, reading
from services.kafka.group_consumer import Batch, GroupConsumer, group_consumer
from services.kafka.groups import notifier_group
from services.kafka.rights import require_rights
from services.kafka.topics import Topics, create_notes
from services.notifier.deciding import Notification
from services.notifier.deciding_batch import Decider
from services.notifier.delivery import Refused, Unreachable, deliver
from services.notifier.memory import SINCE_KEY, Due, Entry, Remembered, due_key, encode, replay
from services.notifier.outbox import Memory, NotifierMetrics, Outbox
from services.notifier.rules import Channel, Rules, load_rules
from services.observing.service_metrics import ServiceState
from services.settings import Settings

logger = logging.getLogger(__name__)

MAX_RECORDS: Final = 2_000
#: A batch whose last message is younger has caught up with the log.
_CAUGHT_UP_MS: Final = 5_000


def kinds_of_topics(topics: Topics) -> dict[str, str]:
    """Return what each of the topics holds that are watched."""
    return {
        topics.predictions: "predictions",
        topics.segments: "segments",
        topics.station_events: "events",
    }


def source(partition: Any) -> str:
    """Name a partition, by which states and deliveries are owned."""
    return f"{partition.topic}/{partition.partition}"


@dataclass
class Notifier:
    """Decides until it is cancelled."""

    consumer: GroupConsumer
    decider: Decider
    outbox: Outbox
    memory: Memory
    rules: Rules
    kinds: dict[str, str]
    metrics: NotifierMetrics
    state: ServiceState
    reload: Callable[[], Any]
    _assignment: frozenset[Any] = frozenset()

    async def run(self) -> None:
        """Decide on batches, for ever."""
        while True:
            batch = await self.consumer.poll(MAX_RECORDS)
            self.state.polled = time.monotonic()
            self.state.is_assigned = self.consumer.is_assigned
            if self.consumer.assignment != self._assignment:
                self._assignment = self.consumer.assignment
                self.decider.owned = frozenset(map(source, self._assignment))
                await self.reload()
            await self._take(batch)

    async def _take(self, batch: Batch) -> None:
        found: list[tuple[Notification, str]] = []
        newest = 0
        for partition, records in batch.items():
            for record in records:
                newest = max(newest, record.timestamp)
                decided = await self._decide(partition, record)
                found += [(notification, source(partition)) for notification in decided]
        if not batch or time.time() * 1000 - newest < _CAUGHT_UP_MS:
            found += self.decider.pass_time()
        await self._save(found)
        if batch:
            await self.consumer.commit(batch)

    async def _decide(self, partition: Any, record: Any) -> list[Notification]:
        try:
            return self.decider.take(
                self.kinds[partition.topic], record.value, record.timestamp, source(partition)
            )
        except InputError as error:
            await self.consumer.bury(record, error)
            return []

    async def _save(self, found: list[tuple[Notification, str]]) -> None:
        """Write what is to be delivered, then the states, then queue it."""
        rules = {rule.name: rule for rule in self.rules.rules}
        due = [
            Due(channel, notification, place)
            for notification, place in found
            for channel in rules[notification.rule].send
        ]
        states = [(key, Entry(state=self.decider.states[key])) for key in self.decider.changed]
        await self.memory.save(*((due_key(one), Entry(due=one)) for one in due), *sorted(states))
        self.decider.changed.clear()
        for notification, _ in found:
            self.metrics.decided.labels(notification.rule, notification.kind).inc()
        for one in due:
            self.outbox.add(one)


async def notify(settings: Settings) -> None:
    """Notify until cancelled.

    Raises
    ------
    GenrestreamError
        The rules are wrong, or no broker answers.
    """
    if settings.rules is None:
        raise SettingsError("GENRESTREAM_RULES is not set: name a file of rules")
    rules = load_rules(settings.rules)
    topics, metrics = Topics(settings.topic_prefix), NotifierMetrics()
    await require_rights(settings, "notifier")
    await create_notes(settings, topics.notified)
    state = ServiceState(settings.stall_seconds)
    metrics.service.serve(settings, state)
    kinds = kinds_of_topics(topics)
    group = notifier_group(settings)
    async with group_consumer(settings, "notifier", group, list(kinds)) as consumer:
        memory = Memory(consumer.producer, topics.notified)
        decider = Decider(rules)

        async def bury(due: Due, reason: str) -> None:
            await consumer.bury_value(topics.notified, due_key(due), encode(Entry(due=due)), reason)

        async def saved() -> list[Due]:
            return list((await _remembered(settings, topics)).due.values())

        channels = dict(rules.channels)
        outbox = Outbox(channels, memory, metrics, bury, lambda: decider.owned, saved)

        async def reload() -> None:
            await _reload(settings, topics, decider, outbox)

        notifier = Notifier(consumer, decider, outbox, memory, rules, kinds, metrics, state, reload)
        async with reading(settings, [topics.stations], from_beginning=True) as stations:
            async for record in stations.messages_so_far():
                _announce(decider, record)
            decider.since_ms = await _begin(settings, topics, memory)
            await asyncio.gather(outbox.run(), notifier.run(), _follow(stations, decider))


async def _begin(settings: Settings, topics: Topics, memory: Memory) -> int:
    """Return when the first notifier started, in ms since 1970: now, if we are that one."""
    found = await _remembered(settings, topics)
    if found.since_ms is not None:
        return found.since_ms
    since_ms = 0 if found.states else round(time.time() * 1000)  # 0: one of an older release
    await memory.save((SINCE_KEY, Entry(since_ms=since_ms)))
    return since_ms


async def _follow(stations: TopicReader, decider: Decider) -> None:
    """Take in tags and zones as they change."""
    async for record in stations.messages():
        _announce(decider, record)


def _announce(decider: Decider, record: Any) -> None:
    try:
        decider.announce((record.key or b"").decode(errors="replace"), record.value)
    except InputError as error:
        logger.warning("a station is left out: %s", error)


async def _reload(settings: Settings, topics: Topics, decider: Decider, outbox: Outbox) -> None:
    """Read what was saved, by us or by who had these partitions before."""
    found = await _remembered(settings, topics)
    decider.restore(found.states)
    for one in found.due.values():
        outbox.add(one)


async def _remembered(settings: Settings, topics: Topics) -> Remembered:
    async with reading(settings, [topics.notified], from_beginning=True) as reader:
        return replay([((r.key or b"").decode(), r.value) async for r in reader.messages_so_far()])


async def send_test(channels: dict[str, Channel], notification: Notification) -> list[str]:
    """Deliver once to each channel; return a line a channel that failed."""
    failures = []
    for channel in channels.values():
        try:
            await deliver(channel, notification)
        except (Refused, Unreachable) as error:
            failures.append(str(error))
    return failures
