"""Batches with header names that aiokafka refuses."""

from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from services.kafka.aiokafka_fixes import TolerantRecords


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
    records = TolerantRecords(bytes(data))
    broken = records.next_batch()
    assert not broken.validate_crc()
    with pytest.raises(CorruptRecordException):
        list(broken)
