"""Fetches wait as long as they must to bring what is there."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState

from services.kafka.tansu_fixes import adapt_waits

PLACE = TopicPartition("audio.chunks", 0)
HIGHWATER = 100


def wait_after(
    found: list[bool], position: int = 5, *, active: bool = True, begin: int = 20
) -> int:
    """Return how long a fetch waits after some that brought something or nothing."""
    return asyncio.run(_wait_after(found, position, active, begin))


async def _wait_after(found: list[bool], position: int, active: bool, begin: int) -> int:
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

    fetcher: Any = SimpleNamespace(_fetch_max_wait_ms=begin, _proc_fetch_request=process)
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
def test_it_waits_shorter_where_nothing_is(position: int, active: bool) -> None:
    waits = [wait_after([False] * n, position, active=active, begin=1000) for n in (0, 1, 2, 9)]
    assert waits == [1000, 500, 250, 20]
