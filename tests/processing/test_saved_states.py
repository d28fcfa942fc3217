import logging
from typing import Any

import msgspec
import pytest

from schemas import Origin
from services.classifier.classifier import Classifier
from services.classifier.model import load_model
from services.classifier.score import Score
from services.processing.saved_states import SavedStates
from services.settings import model_path

SCORE = Score(Origin("t", 0, 3), 2, 2, (1.0, 1.0))
CORE = Classifier(load_model(model_path("extra-trees-seed-25")))


class Table:
    """What of faust's table is used: its data."""

    def __init__(self, **data: bytes) -> None:
        self.data = data


def states(table: Any) -> SavedStates[Score, Score, Any]:
    return SavedStates(table, CORE)


def test_a_state_is_read_as_it_was_saved() -> None:
    saved = states(Table())
    value = saved.encode(SCORE)
    assert saved.load("0/s") is None
    saved.put("0/s", value)
    assert saved.load("0/s") == SCORE
    assert list(saved) == ["0/s"]
    saved.put("0/s", None)
    assert saved.load("0/s") is None


@pytest.mark.parametrize(
    "value",
    [b"", b"junk", b"\xff\xfe", b"[]", b'{"saved_at":1.0}', b'{"saved_at":1.0,"state":{"x":1}}'],
)
def test_one_that_does_not_parse_counts_as_none_and_comes_before_all(
    value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    saved = states(Table(**{"0/s": value}))
    with caplog.at_level(logging.ERROR):
        assert saved.load("0/s") is None
    assert "0/s does not parse" in caplog.text
    assert saved.progress(value) < saved.progress(saved.encode(SCORE))


def test_keys_are_written_as_faust_reads_them() -> None:
    assert msgspec.json.decode(SavedStates.encode_key("0/straße")) == "0/straße"
