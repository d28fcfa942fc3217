"""What is handed to the processor has no holes, whatever the consumer does."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kafka.faust_log import FaustLog, Read
from services.processing.log import Message


@dataclass
class Broker:
    """Keeps what it is given."""

    sent: list[Message] = field(default_factory=list)
    committed: dict[int, int] = field(default_factory=dict)
    refuses: bool = False

    async def publish(self, message: Message) -> Awaitable[object]:
        """Keep a message."""
        self.sent.append(message)
        return asyncio.sleep(0)

    def end_offset(self, partition: int) -> int | None:
        """Know nothing."""
        return None

    async def commit_offsets(self, offsets: Mapping[int, int]) -> bool:
        """Keep offsets, or not."""
        if not self.refuses:
            self.committed.update(offsets)
        return not self.refuses

    async def crash(self, reason: BaseException) -> None:
        """Fail."""
        raise reason


def record(offset: int, partition: int = 0) -> Any:
    return SimpleNamespace(
        topic="t", partition=partition, offset=offset, timestamp=1, key=b"k", value=b"v", headers=()
    )


def read(begin: int, *offsets: int, end: int | None = None, partition: int = 0) -> Read:
    last = offsets[-1] + 1 if offsets else begin
    records = [record(offset, partition) for offset in offsets]
    return Read(begin, last if end is None else end, records)


def a_log(begin: int = 0, broker: Broker | None = None, partitions: int = 1) -> FaustLog:
    log = FaustLog(broker or Broker(), "changelog", {})
    log.open(dict.fromkeys(range(partitions), begin), {})
    return log


def put(log: FaustLog, *reads: Read) -> None:
    """Put reads of partition 0, 1 and so on."""
    log.put(dict(enumerate(reads)))


def taken(log: FaustLog) -> list[int]:
    return [found.place.offset for found in log.take(1000)]


def test_what_was_passed_over_comes_again() -> None:
    log = a_log()
    put(log, read(0, 0, 1))
    assert log.begin_again({0: read(5, 5, 6)}) == {0: 2}
    put(log, read(2, 2, 3, 4, 5, 6))
    assert taken(log) == [0, 1, 2, 3, 4, 5, 6]


def test_it_is_missed_even_when_nothing_comes_behind_it() -> None:
    assert a_log(3).begin_again({0: read(9)}) == {0: 3}
    assert a_log(9).begin_again({0: read(9)}) == {}


def test_what_the_log_does_not_have_is_passed_over() -> None:
    """A read that began at the hole or before it proves it: compaction, transactions."""
    log = a_log()
    put(log, read(0, 0, 4, end=9))
    assert taken(log) == [0, 4]
    assert log.position(0) == 9
    assert log.begin_again({0: read(9, 12)}) == {}


def test_what_was_handed_out_is_not_handed_out_again() -> None:
    log = a_log()
    put(log, read(0, 0, 1, 2))
    put(log, read(1, 1, 2, 3))
    assert taken(log) == [0, 1, 2, 3]


def test_the_position_is_behind_nothing_that_waits() -> None:
    log = a_log()
    put(log, read(0, 0, 1, 2, end=5))
    assert log.position(0) == 0
    log.take(2)
    assert log.position(0) == 2
    log.take(2)
    assert log.position(0) == 5


def test_a_partition_that_is_full_is_not_wanted_and_others_are() -> None:
    log = a_log(partitions=2)
    put(log, read(0, *range(60)))
    assert log.full == set()
    put(log, read(60, *range(60, 100)))
    assert log.full == {0}
    put(log, read(100), read(0, 0, partition=1))
    assert log.full == {0}
    log.take(90)
    assert log.full == set()


def test_each_partition_has_its_share_of_the_bytes() -> None:
    log, large = a_log(partitions=4), record(0)
    large.value = bytes(40 << 20)
    put(log, Read(0, 1, [large]))
    assert log.full == {0}
    part = record(0, 1)
    part.value = bytes(8 << 20)
    log.put({1: Read(0, 1, [part])})
    assert log.full == {0, 1}
    log.take(1)
    assert log.full == set()


def test_partitions_are_taken_by_turns_and_the_first_changes() -> None:
    log = a_log(partitions=3)
    put(log, *(read(0, 0, 1, 2, partition=n) for n in range(3)))
    places = [[(r.place.partition, r.place.offset) for r in log.take(4)] for _ in range(3)]
    assert places == [
        [(0, 0), (1, 0), (2, 0), (0, 1)],
        [(1, 1), (2, 1), (0, 2), (1, 2)],
        [(2, 2)],
    ]


def test_what_is_put_back_comes_first_again() -> None:
    log = a_log()
    put(log, read(0, 0, 1, 2, 3))
    first = log.take(3)
    log.put_back([first[0], first[2]])
    assert log.position(0) == 0
    assert taken(log) == [0, 2, 3]
    assert log.position(0) == 4


def test_nothing_of_a_partition_that_is_held_is_handed_out() -> None:
    async def waits(log: FaustLog) -> bool:
        try:
            await asyncio.wait_for(log.wait(), 0.01)
        except TimeoutError:
            return True
        return False

    log = a_log(partitions=2)
    log.hold(0, held=True)
    put(log, read(0, 0, 1))
    assert taken(log) == []
    assert asyncio.run(waits(log))
    put(log, read(0), read(0, 0, partition=1))
    assert [found.place.partition for found in log.take(9)] == [1]
    log.hold(0, held=False)
    assert not asyncio.run(waits(log))
    assert taken(log) == [0, 1]


def test_what_waits_is_forgotten_with_its_partition() -> None:
    log = a_log()
    put(log, read(0, 0, 1))
    log.close()
    assert taken(log) == []
    assert log.begin_again({0: read(7)}) == {}
    log.open({0: 1}, {0: 1})
    put(log, read(0, 0, 1))
    assert taken(log) == [1]


def test_only_news_are_committed_and_only_when_taken() -> None:
    broker = Broker()
    log = a_log(broker=broker)
    put(log, read(0, 0, 1, 2))
    asyncio.run(log.commit({0: 0}))
    assert broker.committed == {}
    with pytest.raises(AssertionError, match="offset 2 of partition 0 was not handed out"):
        asyncio.run(log.commit({0: 2}))
    log.take(2)
    asyncio.run(log.commit({0: 2}))
    assert (broker.committed, log.committed(0)) == ({0: 2}, 2)


def test_a_commit_that_failed_is_tried_again() -> None:
    broker = Broker(refuses=True)
    log = a_log(broker=broker)
    put(log, read(0, 0))
    log.take(1)
    asyncio.run(log.commit({0: 1}))
    assert log.committed(0) is None
    broker.refuses = False
    asyncio.run(log.commit({0: 1}))
    assert broker.committed == {0: 1}


def test_the_last_state_is_sent_alone_and_the_table_has_all() -> None:
    broker = Broker()
    log = a_log(broker=broker)
    asyncio.run(log.save(0, {"0/a": b"1", "0/b": b"2"}))
    asyncio.run(log.save(0, {"0/a": None}))
    assert [(m.key, m.value) for m in broker.sent] == [
        (b'"0/a"', b"1"),
        (b'"0/b"', b"2"),
        (b'"0/a"', None),
    ]
    assert log.states == {"0/b": b"2"}


def test_null_headers_and_times_beyond_the_calendar_are_bounded() -> None:
    log = a_log()
    odd = record(0)
    odd.headers, odd.timestamp, odd.value = (("final", None), ("x", b"1")), 10**17, None
    put(log, Read(0, 1, [odd]))
    (found,) = log.take(1)
    assert found.headers == [("x", b"1")]  # a null one is absent
    assert found.timestamp_ms == 253_402_300_799_000
    assert found.value == b""


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8), st.integers(0, 9)), max_size=40))
def test_any_reads_give_the_log_in_order_without_holes(reads: list[tuple[int, int, int]]) -> None:
    """The log has the even offsets; reads begin anywhere, and some records are put back."""
    log, came = a_log(), list[int]()
    for begin, length, back in reads:
        there = [offset for offset in range(begin, begin + length) if offset % 2 == 0]
        one = Read(begin, begin + length, [record(offset) for offset in there])
        if not log.begin_again({0: one}):
            put(log, one)
        found = log.take(1000)
        log.put_back(found[back:])
        came += [record.place.offset for record in found[:back]]
    assert came == list(range(0, 2 * len(came), 2))
