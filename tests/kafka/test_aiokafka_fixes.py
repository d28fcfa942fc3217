"""Batches with header names that aiokafka refuses."""

import resource
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from services.kafka.aiokafka_fixes import (
    MAX_READ_BYTES,
    BoundedResult,
    TolerantRecords,
    let_others_go_first,
)
from services.kafka.batch_limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, Unreadable
from tests.abuse import batches as bombs
from tests.abuse.batches import Many


class BadName(str):
    """A header name that is no UTF-8 on the wire."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"na\xffme"


GOOD = [("final", b"true"), ("x", None)]


def batch(names: list[list[tuple[str, bytes | None]]], compression: int = 0) -> bytes:
    """Build a batch of one record for each list of headers."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 1 << 20)
    for offset, headers in enumerate(names):
        builder.append(offset, 1000 + offset, b"key", b"value %d" % offset, headers)
    return bytes(builder.build())


def read(data: bytes) -> list[Any]:
    records = TolerantRecords(data)
    found = []
    while records.has_next():
        one = records.next_batch()
        assert one.validate_crc()
        assert not one.is_control_batch
        records_of_one = list(one)
        assert one.next_offset == one.base_offset + len(records_of_one)
        found += records_of_one
    return found


@pytest.mark.parametrize("compression", [0, 1, 3, 4])
def test_a_bad_header_name_is_replaced_and_its_batch_is_read(compression: int) -> None:
    data = batch([GOOD, [(BadName(), b"1"), *GOOD], GOOD], compression)
    refused = MemoryRecords(data).next_batch()
    assert refused
    with pytest.raises((CorruptRecordException, UnicodeDecodeError)):
        list(refused)
    found = read(data)
    assert [record.headers for record in found] == [GOOD, [("na\ufffdme", b"1"), *GOOD], GOOD]
    assert [record.offset for record in found] == [0, 1, 2]
    assert [record.value for record in found] == [b"value 0", b"value 1", b"value 2"]
    assert [record.key for record in found] == [b"key"] * 3
    assert [record.timestamp for record in found] == [1000, 1001, 1002]
    assert type(found[1].value) is bytes


def test_good_batches_are_read_as_ever() -> None:
    data = batch([GOOD, []])
    expected = MemoryRecords(data).next_batch()
    assert expected
    found = read(data + data)
    assert [str(record) for record in found] == 2 * [str(record) for record in expected]


def test_a_batch_that_is_broken_is_still_refused() -> None:
    data = bytearray(batch([GOOD]))
    data[-1] ^= 0x7F
    broken = TolerantRecords(bytes(data)).next_batch()
    assert not broken.validate_crc()


def stand_in(data: bytes) -> Any:
    """Return the only record of a batch that cannot be read."""
    one = TolerantRecords(data).next_batch()
    (record,) = one
    assert record.offset == one.next_offset - 1
    assert isinstance(record.value, Unreadable)
    return record


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_bomb_becomes_one_record(codec: str) -> None:
    data = bombs.batch(Many(2, MAX_BATCH_BYTES, b"k"), codec, timestamp_ms=5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record = stand_in(data)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert str(record.value.fault).startswith("2 messages of one batch are left out")
    assert "32 MiB" in str(record.value.fault)
    assert (record.offset, record.timestamp, record.key) == (1, 5, None)
    assert grown < 2 * MAX_BATCH_BYTES // 1024


def test_a_batch_of_too_many_records_becomes_one() -> None:
    many = Many(MAX_BATCH_RECORDS + 1, 0, b"")
    assert "at most 50000 are taken" in str(
        stand_in(bombs.batch(many, "zstd", timestamp_ms=0)).value.fault
    )


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_large_batch_is_read_one_by_one(codec: str) -> None:
    data = bombs.batch(Many(30, 1_000_000, b"k"), codec, timestamp_ms=0)
    assert [(r.offset, len(r.value)) for r in read(data)] == [(n, 1_000_000) for n in range(30)]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_cannot_be_read_on_becomes_one_record(codec: str) -> None:
    data = bombs.batch(Many(3, 10, b"k"), codec, timestamp_ms=0)
    one = TolerantRecords(bombs.claiming(data, 5)).next_batch()
    assert one.validate_crc()
    *good, last = one
    assert [len(record.value) for record in good] == [10, 10, 10]
    assert str(last.value.fault).startswith("2 messages of one batch are left out")
    cut = TolerantRecords(bombs.cut_short(data)).next_batch()
    assert cut.validate_crc()
    assert "left out" in str(list(cut)[-1].value.fault)


@pytest.mark.parametrize("claimed", [100, 2**20, 2**31 - 1, 2**62])
def test_nothing_is_read_behind_the_end(claimed: int) -> None:
    """A record says that its value has so many bytes; the batch has far fewer."""
    data = bombs.lying(Many(1, 10, b"k"), claimed)
    (record,) = TolerantRecords(data).next_batch()
    assert "1 messages of one batch are left out" in str(record.value.fault)


def test_partitions_take_turns() -> None:
    full, other, gone = (TopicPartition("t", number) for number in range(3))
    waiting = OrderedDict([(full, ["more"]), (other, ["some"])])
    consumer = SimpleNamespace(_fetcher=SimpleNamespace(_records=waiting))
    let_others_go_first(consumer, [full, gone])
    assert list(waiting) == [other, full]


def result(data: bytes) -> tuple[BoundedResult, list[int]]:
    """Return what a fetch brought, and where it says that it was read up to."""
    partition, positions = TopicPartition("t", 0), list[int]()
    records = fetcher.PartitionRecords(
        partition, TolerantRecords(data), [], 0, None, None, False, fetcher.READ_COMMITTED
    )
    state = SimpleNamespace(paused=False, position=0)

    def consumed_to(offset: int) -> None:
        state.position = offset
        positions.append(offset)

    state.consumed_to = consumed_to
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    found = BoundedResult(partition, assignment=assignment, partition_records=records, backoff=0)
    return found, positions


def test_a_read_is_bounded_by_bytes() -> None:
    """Of 200 MB in 7 kB; the rest comes with the next reads."""
    one = bombs.batch(Many(6, 5_000_000, b"k"), "zstd", timestamp_ms=0)
    data = b"".join((6 * n).to_bytes(8, "big") + one[8:] for n in range(7))
    assert len(data) < 10_000
    found, positions = result(data)
    offsets = []
    while found.has_more():
        some = found.getall(500)
        assert sum(len(record.value) for record in some) < MAX_READ_BYTES + 5_000_000
        offsets += [record.offset for record in some]
    assert offsets == list(range(42))
    assert positions[-1] == 42


def test_small_records_are_read_together() -> None:
    found, positions = result(bombs.batch(Many(1200, 10, b"k"), "none", timestamp_ms=0))
    assert [len(found.getall(500)) for _ in range(3)] == [500, 500, 200]
    assert positions == [500, 1000, 1200]
    assert not found.has_more()
