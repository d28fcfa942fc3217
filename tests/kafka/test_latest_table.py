from dataclasses import dataclass
from typing import Any

import pytest

from services.kafka.latest_table import without_stale


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
