"""Heads of kind multi beside the model: tags of windows and of streams, each tag by itself."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Content, FeatureVector, Place, TagPrediction, encode_event
from schemas.errors import ModelError
from services.classifier.classifier import Classifier
from services.classifier.content import LEAST_WEIGHT
from services.classifier.model import Model, is_shipped, load_heads, load_model
from services.classifier.score import Score
from services.classifier.tags import Tagging, TagSum
from services.processing.core import Turn
from services.processing.records import Record
from services.settings import load_settings
from tests.classifier.heads import TAGS, tiny_head
from tests.classifier.test_model import NAMES, tiny_model

RANDOM = np.random.default_rng(11)
ROWS = RANDOM.standard_normal((12, len(NAMES))).astype(np.float32)
MUSIC = Content(0.99, 0.01, 0.0)
TALK = Content(0.01, 0.99, 0.0)
TOO_LARGE = "are too large for the model: extract it again"
TALK_OVER_MUSIC = Content(0.99, 0.99, 0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Model:
    (head,) = load_heads([tiny_head(tmp_path_factory.mktemp("head") / "tagger.onnx")], model)
    return head


def a_vector(
    index: int, content: Content | None = MUSIC, *, stream: str = "s", final: bool = False
) -> FeatureVector:
    return FeatureVector(
        event_id=f"t/0/0/seed-25/{index}",
        stream_id=stream,
        origin=Place("t", 0, 0),
        feature_set="seed-25",
        window_index=index,
        start_seconds=3.0 * index,
        end_seconds=3.0 * index + 3,
        level_dbfs=-20.0,
        values=tuple(ROWS[index].tolist()),
        final=final,
        missing_chunks=index,
        heard_at="2026-01-01T00:00:00.000Z",
        content=content,
    )


def tagged(classifier: Classifier, vectors: Sequence[FeatureVector]) -> list[TagPrediction]:
    score: Score | None = None
    found: list[TagPrediction] = []
    for vector in vectors:
        answer = classifier.answer(score, vector)
        score = answer.score
        found += answer.tags
    return found


def by_hand(head: Model, index: int) -> dict[str, float]:
    return dict(zip(TAGS, head.probabilities(ROWS[index : index + 1])[0].tolist(), strict=True))


def test_a_window_has_each_tag_by_itself(model: Model, head: Model) -> None:
    classifier = Classifier(model, tagging=Tagging((head,), top=len(TAGS), least=0.0))
    (first,) = tagged(classifier, [a_vector(0)])
    assert first.window == by_hand(head, 0)
    assert list(first.window.values()) == sorted(first.window.values(), reverse=True)
    assert sum(first.window.values()) != pytest.approx(1.0, abs=0.01)
    assert first.tags == pytest.approx(first.window)
    assert first.event_id == "t/0/0/seed-25/0/tagger"
    assert (first.model.name, first.windows, first.final) == ("tagger", 1, False)
    assert first.heard_at == "2026-01-01T00:00:00.000Z"


def test_a_stream_has_their_mean_by_weight_and_talk_is_left_out(model: Model, head: Model) -> None:
    classifier = Classifier(model, tagging=Tagging((head,), top=len(TAGS), least=0.0))
    kinds = [MUSIC, TALK, TALK_OVER_MUSIC, MUSIC]
    vectors = [a_vector(n, kind, final=n == 3) for n, kind in enumerate(kinds)]
    found = tagged(classifier, vectors)
    assert [prediction.windows for prediction in found] == [1, 1, 2, 3]
    assert found[1].window == {}
    assert found[1].tags == found[0].tags
    weights = np.array([1.0, 0.0, LEAST_WEIGHT, 1.0])
    rows = np.array([[by_hand(head, n)[tag] for tag in TAGS] for n in range(4)])
    mean = weights @ rows / weights.sum()
    assert found[3].tags == pytest.approx(dict(zip(TAGS, mean, strict=True)))
    assert [prediction.final for prediction in found] == [False, False, False, True]
    assert [prediction.missing_chunks for prediction in found] == [0, 1, 2, 3]


def test_an_end_without_audio_has_the_tags_of_the_stream(model: Model, head: Model) -> None:
    classifier = Classifier(model, tagging=Tagging((head,)))
    end = msgspec.structs.replace(a_vector(1, final=True), values=(), content=None)
    first, last = tagged(classifier, [a_vector(0), end])
    assert (last.window, last.tags, last.final) == (None, first.tags, True)


def test_the_most_probable_ones_alone_and_none_below_the_limit(model: Model, head: Model) -> None:
    every = sorted(by_hand(head, 0).items(), key=lambda item: -item[1])
    (two,) = tagged(Classifier(model, tagging=Tagging((head,), 2, 0.0)), [a_vector(0)])
    assert list((two.window or {}).items()) == every[:2]
    limit = every[1][1]
    (sure,) = tagged(Classifier(model, tagging=Tagging((head,), 4, limit)), [a_vector(0)])
    assert list((sure.window or {}).items()) == every[:2]
    (none,) = tagged(Classifier(model, tagging=Tagging((head,), 4, 1.0)), [a_vector(0)])
    assert none.window == {}


def test_a_head_changes_nothing_of_the_genre(model: Model, head: Model) -> None:
    alone, both = Classifier(model), Classifier(model, tagging=Tagging((head,)))
    scores: list[Score | None] = [None, None]
    for n in range(4):
        one, other = alone.answer(scores[0], a_vector(n)), both.answer(scores[1], a_vector(n))
        assert one[1:3] == other[1:3]
        assert not one.tags
        scores = [one.score, other.score]


@given(cut=st.integers(0, 8), replayed_from=st.integers(0, 8))
def test_a_replay_gives_the_same_messages(
    model: Model, head: Model, cut: int, replayed_from: int
) -> None:
    """After a crash at any window, from any window before it: what is new is as it was."""
    classifier = Classifier(model, tagging=Tagging((head,)))
    kinds = [MUSIC, TALK, TALK_OVER_MUSIC]
    records = [
        Record(Place("f", 0, n), 0, b"s", encode_event(a_vector(n, kinds[n % 3], final=n == 8)))
        for n in range(9)
    ]
    whole = _events(classifier, None, records)[0]
    before, saved = _events(classifier, None, records[:cut])
    resumed = msgspec.json.decode(msgspec.json.encode(saved), type=Score) if saved else None
    again = _events(classifier, resumed, records[min(cut, replayed_from) :])[0]
    assert before + again == whole


def _events(
    classifier: Classifier, score: Score | None, records: Sequence[Record]
) -> tuple[list[bytes], Score | None]:
    if not records:
        return [], score
    state = classifier.resume("s", score) if score else None
    (steps,) = classifier.advance_many([Turn(state, list(records))])
    saved = [step.saved for some in steps for step in some if step.saved]
    events = [encode_event(event) for some in steps for step in some for event in step.events]
    return events, saved[-1] if saved else score


def test_values_that_a_head_overflows_on_are_a_dead_letter_and_spoil_no_score(
    model: Model, head: Model
) -> None:
    """Whoever may write feature vectors; the genre's model is asked alike."""
    for classifier in (Classifier(model), Classifier(model, tagging=Tagging((head,)))):
        huge = msgspec.structs.replace(a_vector(1), values=(3e38,) * len(NAMES))
        vectors = [a_vector(0), huge, a_vector(2)]
        records = [
            Record(Place("f", 0, n), 0, b"s", encode_event(v)) for n, v in enumerate(vectors)
        ]
        (steps,) = classifier.advance_many([Turn(None, records)])
        letters = [[str(letter.error) for letter in some[0].dead_letters] for some in steps]
        assert letters == [[], [f"the vector's values {TOO_LARGE}"], []]
        events = [event for some in steps for step in some for event in step.events]
        assert [msgspec.json.decode(encode_event(e), type=type(e)) for e in events] == events
        saved = steps[2][-1].saved
        assert saved == msgspec.json.decode(msgspec.json.encode(saved), type=Score)


def test_a_score_of_other_tags_begins_anew(model: Model, head: Model) -> None:
    classifier = Classifier(model, tagging=Tagging((head,), least=0.0))
    score = classifier.answer(None, a_vector(0)).score
    for sums in ({}, {"tagger": TagSum((5.0,), 5.0, 5)}):
        changed = msgspec.structs.replace(score, tags=sums)
        (found,) = classifier.answer(changed, a_vector(1)).tags
        assert found.windows == 1
        assert found.tags == pytest.approx(found.window)


def test_a_score_of_a_release_without_tags_is_read() -> None:
    old = Score(Place("t", 0, 0), 1, 1, (1.0,))
    fields = msgspec.to_builtins(old)
    del fields["tags"]
    assert msgspec.json.decode(msgspec.json.encode(fields), type=Score) == old


def test_heads_that_do_not_fit_are_refused_in_words(tmp_path: Path, model: Model) -> None:
    good = tiny_head(tmp_path / "good.onnx")
    single = tiny_model(tmp_path / "single.onnx")
    twin = tiny_head(tmp_path / "twin.onnx", name="tiny")
    for paths, reason in (
        ([single], "single.onnx: it is of kind 'single'"),
        ([good, good], "tagger is served already"),
        ([twin], "tiny is served already"),
        ([tmp_path / "none.onnx"], r"there is no head .*tags-musicnn-200-int8"),
    ):
        with pytest.raises(ModelError, match=reason):
            load_heads(paths, model)
    with pytest.raises(ModelError, match=r"of kind 'multi'.*GENRESTREAM_HEADS"):
        load_model(good)
    out_of_range = tiny_model(
        tmp_path / "wild.onnx", softmax=False, change=lambda props: props.update(kind="multi")
    )
    out_of_range.write_bytes(_shifted(out_of_range))
    with pytest.raises(ModelError, match=r"wild.onnx: .*values from 3.0 to 3.0"):
        load_heads([out_of_range], model)


def _shifted(path: Path) -> bytes:
    """Make a head answer 3 for everything: no probability."""
    model = onnx.load(path)
    three = onnx.helper.make_tensor("three", onnx.TensorProto.FLOAT, [1], [3.0])
    model.graph.initializer.append(three)
    model.graph.node[1].op_type = "Add"
    model.graph.node[1].input.append("three")
    data: bytes = model.SerializeToString()
    return data


def test_the_shipped_heads_go_with_the_shipped_models() -> None:
    for name in ("lda-musicnn-200", "lda-musicnn-200-int8"):
        settings = load_settings(model=name, heads=(name.replace("lda", "tags"),))
        (path,) = settings.head_paths
        (head,) = load_heads([path], load_model(settings.model_path))
        assert is_shipped(path)
        assert len(head.labels) == 50
    both = load_settings(heads=("tags-musicnn-200",))
    with pytest.raises(ModelError, match="choose another head, such as tags-musicnn-200-int8"):
        load_heads(both.head_paths, load_model(both.model_path))
