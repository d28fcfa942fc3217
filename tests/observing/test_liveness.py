"""A worker is alive when its offsets move on or there is nothing to do, and a broker answers."""

import pytest

from services.observing.liveness import Health


@pytest.fixture
def health() -> Health:
    return Health(stall_seconds=60.0, silence_seconds=15.0, started=0.0)


def test_nothing_to_do_is_alive(health: Health) -> None:
    for now in range(0, 1000, 5):
        health.observe(now, {0: 7, 1: 0}, {0: 7, 1: 0})
        assert health.problems(now) == []


def test_slow_progress_is_alive(health: Health) -> None:
    for now in range(0, 1000, 5):
        health.observe(now, {0: now // 50}, {0: 10_000})
        assert health.problems(now) == []


def test_messages_that_wait_without_progress_are_a_stall(health: Health) -> None:
    for now in range(0, 65, 5):
        health.observe(now, {0: 7, 1: now}, {0: 9, 1: 9000})
        assert health.problems(now) == []
    health.observe(65, {0: 7, 1: 65}, {0: 9, 1: 9000})
    assert health.problems(65) == ["partition 0 stands still for 65 s, and messages wait"]
    health.observe(70, {0: 8, 1: 65}, {0: 9, 1: 9000})
    assert health.problems(70) == []


def test_a_message_that_takes_long_is_progress_of_all(health: Health) -> None:
    for now in range(0, 305, 5):
        health.observe(now, {0: 7, 1: 3}, {0: 9, 1: 9}, late_done=now // 50)
        assert health.problems(now) == []
    health.observe(365, {0: 7, 1: 3}, {0: 9, 1: 9}, late_done=6)
    assert len(health.problems(365)) == 2


def test_waiting_begins_with_the_first_message(health: Health) -> None:
    health.observe(0, {0: 7}, {0: 7})
    health.observe(500, {0: 7}, {0: 7})
    health.observe(505, {0: 7}, {0: 8})
    assert health.problems(505) == []


def test_a_partition_that_comes_back_gets_its_time(health: Health) -> None:
    health.observe(0, {0: 7}, {0: 9})
    health.observe(30, {}, {0: 9})
    health.observe(65, {0: 7}, {0: 9})
    assert health.problems(65) == []


def test_a_silent_broker(health: Health) -> None:
    assert health.problems(15) == []
    assert health.problems(16) == ["no broker has answered for 16 s"]
    health.observe(20, {0: 7}, {0: 7})
    assert health.problems(20) == []


def test_silence_is_no_stall(health: Health) -> None:
    """While no broker answers nobody knows whether messages wait."""
    health.observe(0, {0: 7}, {0: 9})
    assert health.problems(100) == ["no broker has answered for 100 s"]


def test_no_assignment(health: Health) -> None:
    health.observe(0, {}, {0: 7})
    for now in range(5, 125, 5):
        health.observe(now, None, {0: 7})
        assert health.problems(now) == []
    health.observe(125, None, {0: 7})
    assert health.problems(125) == ["the group has assigned no partitions for 125 s"]


def test_a_share_of_nothing_is_alive(health: Health) -> None:
    for now in range(0, 1000, 5):
        health.observe(now, {}, {0: 7})
        assert health.problems(now) == []
