"""What faust and aiokafka do in rebalances loses nothing."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from services.extractor.agent import create_extractor, create_recipe
from services.kafka.errors import StateError
from services.kafka.faust_fixes import App, CarefulConsumer, Fetched, PromptThread
from services.settings import FETCH_WAIT_MS, load_settings

SOURCE = TP("audio.chunks", 0)
RECORDS = [SimpleNamespace(offset=3), SimpleNamespace(offset=4)]


class Thread:
    """Stands for the thread of a consumer, which something happens to while it fetches."""

    def __init__(self, consumer: CarefulConsumer, event: str) -> None:
        self.consumer, self.event = consumer, event
        self.back: dict[TP, int] = {}
        self.timeout = 0.0

    async def getmany(self, active: set[TP], timeout: float) -> dict[TP, list[Any]]:
        """Return what was asked for."""
        self.timeout = timeout
        if self.event == "stop":
            self.consumer.stop_flow()
        elif self.event == "seek":
            await self.consumer.seek_wait({SOURCE: 1})
        elif self.event == "begin":
            await self.consumer.perform_seek()
        return dict.fromkeys(active, RECORDS)

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        """Seek nothing."""

    async def seek_to_begin(self, mine: set[TP]) -> tuple[dict[TP, int], dict[TP, int]]:
        """Seek nothing."""
        if self.event == "rebalance":
            self.consumer.app.rebalancing_count += 1
        return {SOURCE: 1}, {SOURCE: 1}

    def assignment(self) -> set[TP]:
        """Return both partitions, or not that of the changelog."""
        changelog = TP(next(iter(self.consumer.app.tables.changelog_topics)), 0)
        return {SOURCE} if self.event == "stateless" else {SOURCE, changelog}

    async def put_back(self, offsets: dict[TP, int]) -> None:
        """Keep what is put back."""
        self.back.update(offsets)


def an_app(event: str) -> tuple[App, CarefulConsumer, Thread]:
    settings = load_settings()
    app = create_extractor(settings, create_recipe(settings, ("seed-25",)), partitions=1).app
    consumer = app.consumer
    assert isinstance(consumer, CarefulConsumer)
    thread = Thread(consumer, event)
    consumer._thread = thread  # type: ignore[assignment]
    return app, consumer, thread


async def fetch(event: str) -> tuple[set[TP], dict[TP, int]]:
    """Return where messages came from, and what was put back."""
    app, consumer, thread = an_app(event)
    consumer._active_partitions = {SOURCE, TP(next(iter(app.tables.changelog_topics)), 0)}
    records, active = await consumer._wait_next_records(1.0)
    assert active == consumer._active_partitions
    return set(records or ()), thread.back


@pytest.mark.parametrize("event", ["stop", "seek", "begin"])
def test_what_comes_late_is_put_back(event: str) -> None:
    came, back = asyncio.run(fetch(event))
    assert not came
    assert [*back.values()] == [3, 3]


def test_what_comes_in_time_is_not() -> None:
    came, back = asyncio.run(fetch("nothing"))
    assert len(came) == 2
    assert not back


def test_a_fetch_of_changelogs_is_short() -> None:
    async def seconds(*names: str) -> float:
        app, consumer, thread = an_app("nothing")
        changelog = TP(next(iter(app.tables.changelog_topics)), 0)
        known = {"source": SOURCE, "changelog": changelog}
        consumer._active_partitions = {known[name] for name in names}
        await consumer._wait_next_records(1.0)
        return thread.timeout

    assert asyncio.run(seconds("changelog")) <= 0.1
    assert asyncio.run(seconds("changelog", "source")) == 1.0


@pytest.mark.parametrize(("position", "then"), [(5, 3), (3, 3), (2, 2), (None, None)])
def test_putting_back_never_goes_forward(position: int | None, then: int | None) -> None:
    async def put_back() -> int | None:
        subscription = SubscriptionState()
        subscription.assign_from_user([SOURCE])
        if position is not None:
            subscription.seek(SOURCE, position)
        consumer = SimpleNamespace(
            _subscription=subscription,
            assignment=subscription.assigned_partitions,
            seek=subscription.seek,
        )
        thread: Any = object.__new__(PromptThread)
        await thread._put_back(consumer, {SOURCE: 3, TP("another's", 0): 1})
        state = subscription.subscription.assignment.state_value(SOURCE)
        return state.position if state.has_valid_position else None

    assert asyncio.run(put_back()) == then


def test_an_app_that_stops_in_a_rebalance_keeps_its_consumer() -> None:
    thread: Any = object.__new__(PromptThread)
    thread._consumer = SimpleNamespace(_closed=False)
    thread.close()
    assert not thread._consumer._closed


def test_a_rebalance_while_seeking_opens_nothing() -> None:
    async def seek() -> App:
        app, consumer, _ = an_app("rebalance")
        opened: list[Any] = []
        app.when_opened(opened.append)
        with pytest.raises(RebalanceAgain):
            await consumer.perform_seek()
        assert not opened
        return app

    app = asyncio.run(seek())
    assert app.source_log.committed(0) is None


def test_a_partition_without_its_changelog_is_refused() -> None:
    async def seek() -> None:
        _, consumer, _ = an_app("stateless")
        with pytest.raises(StateError, match=r"partitions \[0\] of audio.chunks came without"):
            await consumer.perform_seek()

    asyncio.run(seek())


def test_partitions_are_opened_where_they_were_sought_to() -> None:
    async def seek() -> App:
        app, consumer, _ = an_app("")
        await consumer.perform_seek()
        return app

    app = asyncio.run(seek())
    assert (app.source_log.position(0), app.source_log.committed(0)) == (1, 1)


@pytest.mark.parametrize(("committed", "then"), [(7, 7), (0, 0), (-1, 3)])
def test_every_partition_is_sought(committed: int, then: int) -> None:
    """Aiokafka itself seeks nowhere where 0 or nothing is committed."""
    sought: dict[TopicPartition, int] = {}
    place = TopicPartition(*SOURCE)

    async def known(places: list[TopicPartition]) -> dict[TopicPartition, Any]:
        return {place: SimpleNamespace(offset=committed)}

    async def beginnings(places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 3)

    consumer = SimpleNamespace(
        _coordinator=SimpleNamespace(fetch_committed_offsets=known),
        beginning_offsets=beginnings,
        seek=sought.__setitem__,
    )
    thread: Any = object.__new__(PromptThread)
    begins, _ = asyncio.run(thread._seek_to_begin(consumer, [SOURCE]))
    assert begins == {SOURCE: then}
    assert sought == {place: then}


def test_a_fetch_keeps_the_partitions_that_it_began_with() -> None:
    """Faust empties the set while aiokafka waits, which takes an empty one for all."""

    async def fetching() -> set[TP]:
        _, consumer, thread = an_app("")
        active = {SOURCE}
        seen: list[Any] = []

        async def getmany(partitions: set[TP], timeout: float) -> dict[TP, list[Any]]:
            active.clear()
            seen.append(set(partitions))
            return {}

        thread.getmany = getmany  # type: ignore[method-assign, assignment]
        await consumer._getmany(active, 1.0)
        assert await consumer._getmany(set(), 1.0) == {}
        (found,) = seen
        return set(found)

    assert asyncio.run(fetching()) == {SOURCE}


def test_a_read_that_passed_something_over_goes_back() -> None:
    async def reading() -> tuple[dict[TP, int], int]:
        app, consumer, thread = an_app("")
        back: dict[TP, int] = {}

        async def seek_wait(partitions: dict[TP, int]) -> None:
            back.update(partitions)

        thread.seek_wait = seek_wait  # type: ignore[method-assign]
        app.source_log.open({0: 1}, {})
        await consumer._read(Fetched({SOURCE: RECORDS}, {SOURCE: 3}, {SOURCE: 5}))
        return back, len(app.source_log.take(10))

    assert asyncio.run(reading()) == ({SOURCE: 1}, 0)


def test_no_livelock_is_seen_in_a_seek() -> None:
    async def verify() -> None:
        _, consumer, _ = an_app("")
        consumer.verify_event_path(0.0, SOURCE)

    asyncio.run(verify())


def test_fetches_wait_as_long_as_we_say_and_read_what_is_committed() -> None:
    async def create() -> Any:
        _, consumer, _ = an_app("")
        thread = PromptThread(consumer, loop=asyncio.get_running_loop())
        created = thread._create_consumer(asyncio.get_running_loop())
        created._closed = True  # it was not started
        return created

    consumer = asyncio.run(create())
    assert consumer._fetch_max_wait_ms == FETCH_WAIT_MS
    assert consumer._isolation_level == "read_committed"
