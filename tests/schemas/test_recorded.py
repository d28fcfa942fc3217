"""Messages of version 0.1, as its services wrote them, and its types: both sides keep working."""

from pathlib import Path
from typing import Final

import msgspec
import pytest

from schemas import FeatureVector, GenrePrediction, Place, decode_event, encode_event
from schemas.examples import EXAMPLE_PREDICTION, EXAMPLE_VECTOR
from services.classifier.classifier import Classifier
from services.classifier.model import load_model
from services.classifier.score import Score
from services.settings import model_path

RECORDED: Final = Path(__file__).parent / "recorded"


def lines(name: str) -> list[bytes]:
    return (RECORDED / name).read_bytes().splitlines()


VECTORS: Final = lines("feature_vectors_0_1.jsonl")
PREDICTIONS: Final = lines("genre_predictions_0_1.jsonl")


class OldVector(msgspec.Struct, frozen=True, kw_only=True):
    """The type of version 0.1."""

    event_id: str
    stream_id: str
    origin: Place
    feature_set: str
    window_index: int
    start_seconds: float
    end_seconds: float
    level_dbfs: float
    values: tuple[float, ...]
    final: bool = False
    missing_chunks: int = 0
    schema_version: str = "1.0"


class OldAnswer(msgspec.Struct, frozen=True):
    """The type of version 0.1."""

    label: str
    confidence: float
    probabilities: dict[str, float]


class OldPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """The type of version 0.1."""

    event_id: str
    stream_id: str
    origin: Place
    feature_set: str
    model: dict[str, str]
    window_index: int
    start_seconds: float
    end_seconds: float
    label: str
    confidence: float
    probabilities: dict[str, float]
    windows: int
    window: OldAnswer | None
    final: bool = False
    missing_chunks: int = 0
    schema_version: str = "1.0"


def test_there_are_recorded_messages() -> None:
    assert len(VECTORS) == len(PREDICTIONS) == 4
    assert b"heard_at" not in b"".join([*VECTORS, *PREDICTIONS])


@pytest.mark.parametrize("line", VECTORS)
def test_a_vector_of_the_last_release_is_read(line: bytes) -> None:
    vector = decode_event(line, FeatureVector)
    assert (vector.heard_at, vector.content) == (None, None)
    old = msgspec.json.decode(line)
    new = msgspec.json.decode(encode_event(vector))
    assert {name: new[name] for name in old} == old


@pytest.mark.parametrize("line", PREDICTIONS)
def test_a_prediction_of_the_last_release_is_read(line: bytes) -> None:
    prediction = decode_event(line, GenrePrediction)
    assert (prediction.heard_at, prediction.now, prediction.shares) == (None, None, None)


def test_the_classifier_answers_old_vectors_as_the_last_release_did() -> None:
    """And says what sounds now, without a time."""
    classifier = Classifier(load_model(model_path("extra-trees-seed-25")))
    score: Score | None = None
    for line, recorded in zip(VECTORS, PREDICTIONS, strict=True):
        answer = classifier.answer(score, decode_event(line, FeatureVector))
        score, prediction = answer.score, answer.prediction
        old = decode_event(recorded, GenrePrediction)
        assert prediction.event_id == old.event_id
        assert (prediction.label, prediction.windows) == (old.label, old.windows)
        assert prediction.probabilities == pytest.approx(old.probabilities, abs=1e-6)
        assert prediction.now
        assert prediction.now.since is None
    assert [segment.final for segment in answer.segments] == [True]


def test_a_consumer_of_the_last_release_reads_new_messages() -> None:
    vector = msgspec.json.decode(encode_event(EXAMPLE_VECTOR), type=OldVector)
    assert vector.values == EXAMPLE_VECTOR.values
    prediction = msgspec.json.decode(encode_event(EXAMPLE_PREDICTION), type=OldPrediction)
    assert (prediction.label, prediction.windows) == ("jazz", 8)
    assert prediction.window
    assert prediction.window.label == "blues"
