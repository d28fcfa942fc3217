import logging
from typing import Any

import pytest

from schemas import Place
from services.classifier.classifier import Classifier
from services.classifier.model import load_model
from services.classifier.score import Score
from services.processing.saved_states import SavedStates
from services.settings import model_path

SCORE = Score(Place("t", 0, 3), 2, 2, (1.0, 1.0))
CORE = Classifier(load_model(model_path("extra-trees-seed-25")))


def states(held: dict[str, bytes]) -> SavedStates[Score, Score, Any]:
    return SavedStates(held, CORE)


def test_a_state_is_read_as_it_was_saved() -> None:
    held: dict[str, bytes] = {}
    saved = states(held)
    assert saved.load("0/s") is None
    held["0/s"] = saved.encode(SCORE)
    assert saved.load("0/s") == SCORE
    assert saved.items() == [("0/s", held["0/s"])]


@pytest.mark.parametrize(
    "value",
    [b"", b"junk", b"\xff\xfe", b"[]", b'{"saved_at":1.0}', b'{"saved_at":1.0,"state":{"x":1}}'],
)
def test_one_that_does_not_parse_counts_as_none_and_comes_before_all(
    value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    saved = states({"0/s": value})
    with caplog.at_level(logging.ERROR):
        assert saved.load("0/s") is None
    assert "0/s does not parse" in caplog.text
    assert saved.progress(value) < saved.progress(saved.encode(SCORE))
