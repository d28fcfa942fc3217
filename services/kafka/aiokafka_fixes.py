"""Reading of record batches whose header names are not UTF-8.

Kafka does not check header names. aiokafka 0.14 refuses a whole batch for one, so a worker would
fail at the same record at each start. Here what is no UTF-8 is replaced, as Kafka's own Java client
does it, and the record is processed like any other. It runs on the consumer's thread;
``tests/kafka/test_aiokafka_fixes.py::test_a_bad_header_name_is_replaced_and_its_batch_is_read``
fails without it.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


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

    def _read_msg(self, *arguments: Any) -> Any:
        if not isinstance(self._buffer, _LenientBuffer):
            self._buffer = _LenientBuffer(self._buffer)
        return super()._read_msg(*arguments)


class TolerantBatch:
    """A batch that is read by aiokafka's compiled parser, or else by the lenient one."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._batch = DefaultRecordBatch(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (CorruptRecordException, UnicodeDecodeError):
            return iter(_LenientBatch(self._data))

    def __next__(self) -> Any:
        return next(self._batch)


class TolerantRecords(_MemoryRecordsPy):  # type: ignore[misc]  # final for aiokafka's own sake
    """The batches of a fetch response."""

    def next_batch(self, *arguments: Any) -> Any:
        """Return the next batch, if there is one."""
        data = self._next_slice
        batch = super().next_batch(*arguments)
        return TolerantBatch(data) if isinstance(batch, DefaultRecordBatch) else batch


def tolerate_header_names() -> None:
    """Make every consumer of this process read such batches."""
    fetcher.MemoryRecords = TolerantRecords
