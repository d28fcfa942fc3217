"""A head that is pooled with one on content's embedding, where content was heard."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from features import CONTENT_SET, feature_set
from schemas import GENRES, FeatureVector, Place, encode_event
from schemas.errors import MessageError, ModelError
from schemas.votes import pool
from services.classifier.classifier import Classifier
from services.classifier.model import Model, load_model
from services.classifier.row_independence import rows_are_independent
from services.classifier.score import Score
from services.processing.core import Turn
from services.processing.records import Record
from tests.classifier.test_model import NAMES, tiny_model

WIDTH = len(feature_set(CONTENT_SET).names)
WEIGHTS = (0.4, 0.7)
RANDOM = np.random.default_rng(5)
VALUES = tuple(RANDOM.standard_normal(len(NAMES)).round(3).tolist())
EMBEDDING = tuple(RANDOM.standard_normal(WIDTH).round(3).tolist())


def write(folder: Path, other: str = "other", **changes: str) -> Path:
    """Write a pair of models; the changes are of what the second one says of itself."""
    names = list(feature_set(CONTENT_SET).names)
    tiny_model(
        folder / f"{other}.onnx",
        width=WIDTH,
        change=lambda props: props.update(
            {
                "name": other,
                "feature_set": CONTENT_SET,
                "feature_names": msgspec.json.encode(names).decode(),
                **changes,
            }
        ),
    )
    return tiny_model(
        folder / "one.onnx",
        change=lambda props: props.update(
            pooled_with="other", pool_weights=msgspec.json.encode(WEIGHTS).decode()
        ),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write(tmp_path_factory.mktemp("pair")))


def a_vector(index: int, embedding: tuple[float, ...], stream: str = "s") -> FeatureVector:
    return FeatureVector(
        event_id=f"t/0/0/seed-25/{index}",
        stream_id=stream,
        origin=Place("t", 0, 0),
        feature_set="seed-25",
        window_index=index,
        start_seconds=3.0 * index,
        end_seconds=3.0 * index + 3,
        level_dbfs=-20.0,
        values=VALUES,
        content_embedding=embedding,
    )


def answer(model: Model, embedding: tuple[float, ...]) -> list[float]:
    prediction = Classifier(model).classify(None, a_vector(0, embedding))[1]
    assert prediction.window
    return [prediction.window.probabilities[label] for label in GENRES]


def probabilities(model: Model, values: tuple[float, ...]) -> list[float]:
    row: list[float] = model.probabilities(np.array([values], np.float32))[0].tolist()
    return row


def test_both_are_asked_where_content_was_heard(model: Model) -> None:
    assert model.pooled_with
    one, other = probabilities(model, VALUES), probabilities(model.pooled_with, EMBEDDING)
    found = answer(model, EMBEDDING)
    assert found == pytest.approx(pool(one, other, WEIGHTS), abs=1e-6)
    by_hand = np.power(one, WEIGHTS[0]) * np.power(other, WEIGHTS[1])
    assert found == pytest.approx(by_hand / by_hand.sum(), abs=1e-6)
    assert sum(found) == pytest.approx(1.0)


def test_the_first_alone_where_it_was_not(model: Model) -> None:
    assert answer(model, ()) == pytest.approx(probabilities(model, VALUES), abs=1e-6)


def test_streams_side_by_side_get_the_answers_that_each_gets_alone(model: Model) -> None:
    """Some with an embedding and some without, in one run."""
    classifier = Classifier(model, one_run=rows_are_independent(model))
    kinds = [EMBEDDING, (), tuple(-x for x in EMBEDDING), ()]
    turns: list[Turn[Score]] = [
        Turn(
            None,
            [
                Record(
                    Place("audio.features", 0, number),
                    0,
                    f"s{number}".encode(),
                    encode_event(a_vector(0, kind, f"s{number}")),
                )
            ],
        )
        for number, kind in enumerate(kinds)
    ]
    together = [steps[0][0].events for steps in classifier.advance_many(turns)]
    alone = [classifier.advance_many([turn])[0][0][0].events for turn in turns]
    assert together == alone


@pytest.mark.parametrize("embedding", [EMBEDDING[:-1], (*EMBEDDING, 1.0), (*EMBEDDING[1:], 1e39)])
def test_a_forged_embedding_is_a_dead_letter(model: Model, embedding: tuple[float, ...]) -> None:
    record = Record(Place("audio.features", 0, 3), 0, b"s", encode_event(a_vector(0, embedding)))
    (step,) = Classifier(model).advance(None, record)
    assert [type(letter.error) for letter in step.dead_letters] == [MessageError]
    assert not step.events


def test_its_file_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "other.onnx").unlink()
    with pytest.raises(ModelError, match=r"tiny is pooled with other, .*there is no model"):
        load_model(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": msgspec.json.encode([*GENRES[1:], GENRES[0]]).decode()},
        {"pooled_with": "other"},
        {"kind": "multi"},
    ],
    ids=["labels", "itself", "tags"],
)
def test_what_does_not_go_with_it_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(ModelError, match="is to be pooled with other"):
        load_model(path)


def test_one_of_another_feature_set_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    tiny_model(tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="of feature set seed-25"):
        load_model(path)
