from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from services.kafka.latest_table import readable, without_stale


@dataclass
class Change:
    key: str
    value: Any


def _recover(held: dict[str, Any], *values: Any) -> Any:
    changes = [Change("stream", value) for value in values]
    table = dict(held)
    for change in without_stale(changes, held, lambda value: (value,)):
        table[change.key] = change.value
    return table.get("stream")


@pytest.mark.parametrize(
    ("held", "changes", "recovered"),
    [
        ({}, [1, 2, 3], 3),
        ({}, [1, 3, 2], 3),
        ({"stream": 5}, [3, 4], 5),
        ({"stream": 5}, [5, 6], 6),
        ({"stream": 5}, [None], None),
        ({"stream": 5}, [None, 3], 3),
        ({"other": 9}, [1], 1),
    ],
)
def test_the_latest_state_is_recovered_in_any_order(
    held: dict[str, Any], changes: list[Any], recovered: Any
) -> None:
    assert _recover(held, *changes) == recovered


def _stored(offset: int, key: bytes | None, value: bytes | None) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("log", 0, offset, 0, 0, key, value, None, 0, 0, ())


@pytest.mark.parametrize(
    "key", [None, b"", b"junk", b"\xff", b"null", b"17", b'"no slash"', b'"x/y"', b"[" * 10_000]
)
def test_what_is_no_state_is_void(key: bytes | None) -> None:
    first, second = readable([_stored(7, key, b"1"), _stored(8, b'"0/s"', b"2")])
    assert (first.offset, first.key, first.value) == (7, b'""', None)
    assert second == _stored(8, b'"0/s"', b"2")


def test_a_state_of_megabytes_is_none() -> None:
    (record,) = readable([_stored(7, b'"0/s"', bytes(1 << 20))])
    assert record.value is None
