"""Reading of record batches that aiokafka 0.14 fails at, on the consumer's thread.

Header names that are not UTF-8: Kafka does not check them. aiokafka refuses a whole batch for one,
    so a worker would fail at the same record at each start. Here what is no UTF-8 is replaced, as
    Kafka's own Java client does it, and the record is processed like any other.
    ``tests/kafka/test_aiokafka_fixes.py::test_a_bad_header_name_is_replaced_and_its_batch_is_read``
Batches that decompress to gigabytes, have millions of records, or are damaged: aiokafka
    decompresses and lists them whole, or fails at the same batch again and again.
    ``tests/kafka/test_aiokafka_fixes.py::test_a_bomb_becomes_one_record``
Records that claim to be longer than their batch: aiokafka's compiled reader of integers, which its
    parser in Python uses too, reads behind the end of the buffer; a segmentation fault.
    ``tests/kafka/test_aiokafka_fixes.py::test_nothing_is_read_behind_the_end``
Many batches in one fetch, each of which decompresses to megabytes: aiokafka lists 500 records of
    them, whatever their size; a worker was out of memory.
    ``tests/kafka/test_aiokafka_fixes.py::test_a_read_is_bounded_by_bytes``
Partitions with thousands of messages: aiokafka gives what is fetched in the order of its arrival,
    and begins each time where it left off; the others wait until a fetch is used up.
    ``tests/kafka/test_aiokafka_fixes.py::test_partitions_take_turns``
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint_py

from services.kafka.batch_limits import Unreadable, check_count, plain, unreadable

#: A read of a partition ends with the record that reaches so many bytes.
MAX_READ_BYTES: Final = 4 * 1024 * 1024
#: Where a batch says how many records it has.
_COUNT: Final = slice(57, 61)


class _Broken(Exception):
    """So many records of a batch cannot be read."""

    def __init__(self, why: str, left: int) -> None:
        super().__init__(why)
        self.left = left


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """Stands for records that are not read; it has what aiokafka's own records have."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: Unreadable
    key: None = None
    headers: tuple[()] = ()
    checksum: None = None


class _LenientName(bytes):
    """Bytes that decode to text in any case."""

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:  # noqa: ARG002
        return super().decode(encoding, "replace")


class _LenientBuffer(bytearray):
    """A buffer whose slices are lenient names; aiokafka decodes nothing else of it."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _LenientName(found) if isinstance(index, slice) else found


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # final for aiokafka's own sake
    """aiokafka's parser in Python, on a lenient buffer."""

    _buffer: bytearray

    def _read_msg(self, *_: Any) -> Any:
        if not isinstance(self._buffer, _LenientBuffer):
            self._buffer = _LenientBuffer(self._buffer)
        return super()._read_msg(decode_varint_py)


class TolerantBatch:
    """A batch that is read by aiokafka's compiled parser, or else by the lenient one.

    What neither can read, and a batch beyond the limits of `batch_limits`, becomes one record at
    the last offset, whose value is `Unreadable`.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._batch = DefaultRecordBatch(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        why = check_count(count := _record_count(self._data))
        if why is None:
            try:
                yield from _records(plain(self._data), count)
            except _Broken as error:
                count, why = error.left, str(error)
            except ValueError as error:
                why = str(error)
            else:
                return
        yield self._stand_in(max(count, 1), why)

    def _stand_in(self, messages: int, why: str) -> UnreadableRecord:
        batch = self._batch
        value = unreadable(self._data, messages, why)
        return UnreadableRecord(
            batch.next_offset - 1, batch.max_timestamp, batch.timestamp_type, value
        )

    def __next__(self) -> Any:
        return next(self._batch)


def _record_count(data: memoryview) -> int:
    return int.from_bytes(data[_COUNT], "big", signed=True)


def _records(data: memoryview, count: int) -> Iterator[Any]:
    """Yield the records of a batch that is not compressed."""
    read = 0
    for parser in (DefaultRecordBatch, _LenientBatch):
        try:
            for record in islice(parser(data), read, None):
                read += 1
                yield record
        except (CorruptRecordException, UnicodeDecodeError) as error:
            why = str(error)
        else:
            return
    raise _Broken(why, max(1, count - read))


class TolerantRecords(_MemoryRecordsPy):  # type: ignore[misc]  # final for aiokafka's own sake
    """The batches of a fetch response."""

    def next_batch(self, *arguments: Any) -> Any:
        """Return the next batch, if there is one."""
        data = self._next_slice
        batch = super().next_batch(*arguments)
        return TolerantBatch(data) if isinstance(batch, DefaultRecordBatch) else batch


class BoundedResult(fetcher.FetchResult):  # type: ignore[misc]  # aiokafka has no types here
    """What a fetch brought of a partition, given in portions of so many bytes."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return the next records: so many at most."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        found, nbytes = [], 0
        for record in self._partition_records:
            found.append(record)
            nbytes += len(record.key or b"") + len(record.value or b"")
            if nbytes >= MAX_READ_BYTES or (max_records and len(found) >= max_records):
                self._update_position()
                return found
        self._update_position()
        self._partition_records = None
        return found


def tolerate_batches() -> None:
    """Make every consumer of this process read such batches."""
    fetcher.MemoryRecords = TolerantRecords
    fetcher.FetchResult = BoundedResult


def let_others_go_first(consumer: Any, taken: Iterable[TopicPartition]) -> None:
    """Let partitions that gave something be the last in the next turn, where they have more."""
    waiting = consumer._fetcher._records
    for partition in taken:
        if partition in waiting:
            waiting.move_to_end(partition)
