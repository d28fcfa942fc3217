"""What is fetched while faust seeks comes again, from where it was sought to."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.types import TP

from services.extractor.agent import create_extractor, create_recipe
from services.kafka.faust_fixes import CarefulConsumer, PromptThread
from services.settings import load_settings

SOURCE = TP("audio.chunks", 0)
RECORDS = [SimpleNamespace(offset=3), SimpleNamespace(offset=4)]


class Thread:
    """Stands for the thread of a consumer, which something happens to while it fetches."""

    def __init__(self, consumer: CarefulConsumer, event: str) -> None:
        self.consumer, self.event = consumer, event
        self.back: dict[TP, int] = {}

    async def getmany(self, active: set[TP], timeout: float) -> dict[TP, list[Any]]:
        """Return what was asked for."""
        if self.event == "stop":
            self.consumer.stop_flow()
        elif self.event == "seek":
            await self.consumer.seek_wait({SOURCE: 1})
        elif self.event == "commit":
            await self.consumer.seek_to_committed()
        return dict.fromkeys(active, RECORDS)

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        """Seek nothing."""

    async def seek_to_committed(self) -> dict[TP, int]:
        """Seek nothing."""
        return {SOURCE: 1}

    async def put_back(self, offsets: dict[TP, int]) -> None:
        """Keep what is put back."""
        self.back.update(offsets)


async def fetch(event: str) -> tuple[set[TP], dict[TP, int]]:
    """Return where messages came from, and what was put back."""
    settings = load_settings()
    app = create_extractor(settings, create_recipe(settings, ("seed-25",)), partitions=1)
    consumer = app.consumer
    assert isinstance(consumer, CarefulConsumer)
    thread = consumer._thread = Thread(consumer, event)  # type: ignore[assignment]
    consumer._active_partitions = {SOURCE, TP(next(iter(app.tables.changelog_topics)), 0)}
    records, active = await consumer._wait_next_records(1.0)
    assert active == consumer._active_partitions
    return set(records or ()), thread.back


@pytest.mark.parametrize("event", ["stop", "seek", "commit"])
def test_what_comes_late_is_put_back(event: str) -> None:
    came, back = asyncio.run(fetch(event))
    assert not came
    assert [*back.values()] == [3, 3]


def test_what_comes_in_time_is_not() -> None:
    came, back = asyncio.run(fetch("nothing"))
    assert len(came) == 2
    assert not back


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


def test_an_app_that_stops_in_a_rebalance_keeps_its_consumer_until_all_is_saved() -> None:
    thread: Any = object.__new__(PromptThread)
    thread._consumer = SimpleNamespace(_closed=False)
    thread.close()
    assert not thread._consumer._closed
