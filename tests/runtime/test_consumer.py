"""What faust drops of a changelog while it seeks comes again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.types import TP

from services.extractor.agent import create_extractor, create_recipe
from services.runtime.consumer import CarefulConsumer, PromptThread
from services.runtime.settings import load_settings

SOURCE = TP("audio.chunks", 0)
RECORDS = [SimpleNamespace(offset=3), SimpleNamespace(offset=4)]


class Thread:
    """Stands for the thread of a consumer, which a rebalance stops while it fetches."""

    def __init__(self, consumer: CarefulConsumer, *, stops: bool) -> None:
        self.consumer, self.stops = consumer, stops
        self.back: dict[TP, int] = {}

    async def getmany(self, active: set[TP], timeout: float) -> dict[TP, list[Any]]:
        """Return what was asked for."""
        if self.stops:
            self.consumer.stop_flow()
        return dict.fromkeys(active, RECORDS)

    async def put_back(self, offsets: dict[TP, int]) -> None:
        """Keep what is put back."""
        self.back.update(offsets)


@pytest.mark.parametrize("stops", [True, False])
def test_changes_that_are_dropped_are_put_back(stops: bool) -> None:
    settings = load_settings()

    async def fetch() -> tuple[TP, dict[TP, int]]:
        app = create_extractor(settings, create_recipe(settings, ("seed-25",)), partitions=1)
        changelog = TP(next(iter(app.tables.changelog_topics)), 0)
        consumer = app.consumer
        assert isinstance(consumer, CarefulConsumer)
        thread = consumer._thread = Thread(consumer, stops=stops)  # type: ignore[assignment]
        consumer._active_partitions = {SOURCE, changelog}
        await consumer._wait_next_records(1.0)
        return changelog, thread.back

    changelog, back = asyncio.run(fetch())
    assert back == ({changelog: 3} if stops else {})


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
