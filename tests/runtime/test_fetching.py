"""Fetches wait as long as they must to bring what is there."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState

from services.runtime.fetching import adapt_waits

PLACE = TopicPartition("audio.chunks", 0)
HIGHWATER = 100


def wait_after(found: list[bool], position: int = 5, *, active: bool = True) -> int:
    """Return how long a fetch waits after some that brought something or nothing."""
    return asyncio.run(_wait_after(found, position, active=active))


async def _wait_after(found: list[bool], position: int, *, active: bool) -> int:
    subscription = SubscriptionState()
    subscription.assign_from_user([PLACE])
    subscription.seek(PLACE, position)
    assignment = subscription.subscription.assignment
    assignment.state_value(PLACE).highwater = HIGHWATER
    if not active:
        subscription.unsubscribe()
    answers = iter(found)

    async def process(*_: Any) -> bool:
        return next(answers)

    fetcher: Any = SimpleNamespace(_fetch_max_wait_ms=20, _proc_fetch_request=process)
    consumer: Any = SimpleNamespace(_fetcher=fetcher)
    adapt_waits(consumer)
    request = SimpleNamespace(topics=[(PLACE.topic, [(PLACE.partition, position, 1_000)])])
    for answer in found:
        assert await fetcher._proc_fetch_request(assignment, 0, request) is answer
    wait: int = fetcher._fetch_max_wait_ms
    return wait


def test_a_fetch_that_brings_nothing_of_what_is_there_waits_longer_next_time() -> None:
    assert [wait_after([False] * times) for times in (1, 2, 9)] == [40, 80, 1000]


def test_it_waits_shorter_again_when_it_brings_something() -> None:
    assert wait_after([False, False, True]) == 72
    assert wait_after([False, False, *[True] * 50]) == 20


@pytest.mark.parametrize(("position", "active"), [(HIGHWATER, True), (5, False)])
def test_nothing_changes_where_nothing_is_there(position: int, active: bool) -> None:
    assert wait_after([False] * 3, position, active=active) == 20
