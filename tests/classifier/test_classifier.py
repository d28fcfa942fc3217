from collections.abc import Collection
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import feature_set
from schemas import GENRES, FeatureVector, Place, encode_event
from services.classifier.classifier import Classifier
from services.classifier.model import load_model
from services.classifier.score import Score
from services.processing.core import Turn
from services.processing.records import Record
from services.settings import model_path

MODEL = load_model(model_path("extra-trees-seed-25"))
WIDTH = len(feature_set("seed-25").names)
CLASSIFIER = Classifier(MODEL)


def a_vector(
    index: int, *, level: float = -20.0, final: bool = False, start: int = 0
) -> FeatureVector:
    return FeatureVector(
        event_id=f"t/0/{start}/seed-25/{index}",
        stream_id="s",
        origin=Place("t", 0, start),
        feature_set="seed-25",
        window_index=index,
        start_seconds=3.0 * index,
        end_seconds=3.0 * index + 3,
        level_dbfs=level,
        values=tuple(float(10 * index + i) for i in range(WIDTH)),
        final=final,
    )


def a_record(value: bytes, offset: int = 5) -> Record:
    return Record(Place("audio.features", 0, offset), 1000, b"s", value)


@given(st.lists(st.sampled_from([-20.0, -90.0]), min_size=1, max_size=12))
def test_the_stream_is_the_mean_of_its_windows_without_silence(levels: list[float]) -> None:
    score: Score | None = None
    heard: list[dict[str, float]] = []
    for index, level in enumerate(levels):
        score, prediction = CLASSIFIER.classify(score, a_vector(index, level=level))
        assert prediction.window
        if level == -90.0:
            assert (prediction.window.label, prediction.window.probabilities) == ("silence", {})
        else:
            assert sum(prediction.window.probabilities.values()) == pytest.approx(1, abs=1e-9)
            heard.append(prediction.window.probabilities)
        assert prediction.windows == len(heard)
        if not heard:
            assert (prediction.label, prediction.probabilities) == ("silence", {})
            continue
        mean = {x: sum(p[x] for p in heard) / len(heard) for x in MODEL.labels}
        assert prediction.probabilities == pytest.approx(mean, abs=1e-6)
        assert prediction.confidence == max(prediction.probabilities.values())
        assert prediction.probabilities[prediction.label] == prediction.confidence


def test_answers_that_are_too_unsure_are_unknown() -> None:
    vectors = [a_vector(0), a_vector(1)]
    sure = [CLASSIFIER.classify(None, vector)[1] for vector in vectors]
    limit = 0.001 + max(p.confidence for p in sure)
    unsure = [replace(CLASSIFIER, unknown_below=limit).classify(None, v)[1] for v in vectors]
    for before, after in zip(sure, unsure, strict=True):
        assert before.label in GENRES
        assert (after.label, after.confidence) == ("unknown", before.confidence)
        assert after.probabilities == before.probabilities
        assert after.window
        assert after.window.label == "unknown"


def test_the_limit_of_unknown_is_the_models_unless_given() -> None:
    metadata = msgspec.structs.replace(MODEL.metadata, unknown_below=1.0)
    strict = Classifier(replace(MODEL, metadata=metadata))
    assert strict.classify(None, a_vector(0))[1].label == "unknown"
    assert replace(strict, unknown_below=0.0).classify(None, a_vector(0))[1].label in GENRES


def test_silence_is_no_unknown() -> None:
    strict = replace(CLASSIFIER, unknown_below=1.0)
    assert strict.classify(None, a_vector(0, level=-90.0))[1].label == "silence"


def test_a_repeated_window_changes_nothing_and_is_released() -> None:
    (first,) = CLASSIFIER.advance(None, a_record(encode_event(a_vector(0))))
    (second,) = CLASSIFIER.advance(first.state, a_record(encode_event(a_vector(1)), 6))
    (again,) = CLASSIFIER.advance(second.state, a_record(encode_event(a_vector(0)), 7))
    assert (again.events, again.state, again.released) == ((), second.state, (7,))


def test_a_repetition_of_an_ended_or_older_stream_is_no_new_stream() -> None:
    (end,) = CLASSIFIER.advance(None, a_record(encode_event(a_vector(0, final=True))))
    (later,) = CLASSIFIER.advance(end.saved, a_record(encode_event(a_vector(1)), 6))
    assert later.events == ()
    (new,) = CLASSIFIER.advance(end.saved, a_record(encode_event(a_vector(0, start=50)), 7))
    assert len(new.events) == 1
    (old,) = CLASSIFIER.advance(new.state, a_record(encode_event(a_vector(3, start=10)), 8))
    assert (old.events, old.state) == ((), new.state)


def test_vectors_of_another_feature_set_are_passed_over() -> None:
    other = msgspec.structs.replace(a_vector(0), feature_set="librosa-52")
    (step,) = CLASSIFIER.advance(None, a_record(encode_event(other)))
    assert (step.events, step.dead_letters, step.released) == ((), (), (5,))


@pytest.mark.parametrize("key", [None, b"", b"t", b"\xff"])
def test_a_vector_under_another_key_is_a_dead_letter(key: bytes | None) -> None:
    """A score belongs to a key: there a vector of another stream would pass for a repetition."""
    record = replace(a_record(encode_event(a_vector(0))), key=key)
    (step,) = CLASSIFIER.advance(None, record)
    assert [letter.error.code for letter in step.dead_letters] == ["invalid-message"]
    assert "is not the vector's stream id 's': send" in str(step.dead_letters[0].error)


def test_missing_chunks_are_passed_on() -> None:
    vector = msgspec.structs.replace(a_vector(0), missing_chunks=3)
    assert CLASSIFIER.classify(None, vector)[1].missing_chunks == 3


@given(st.binary(max_size=200))
def test_any_bytes_are_a_dead_letter(value: bytes) -> None:
    (step,) = CLASSIFIER.advance(None, a_record(value))
    (letter,) = step.dead_letters
    assert letter.record.value == value
    assert letter.error.code == "invalid-message"
    assert step.released == (5,)


def test_a_score_survives_its_way_through_the_table() -> None:
    score, _ = CLASSIFIER.classify(None, a_vector(0))
    saved = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(score)))
    assert msgspec.convert(saved, Score) == score


@pytest.mark.parametrize("one_run", [True, False])
@given(messages=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=16))
def test_what_waits_together_gives_what_it_gives_one_by_one(
    one_run: bool, messages: list[tuple[int, int]]
) -> None:
    """Windows of three streams, with repetitions, holes, ends and junk."""
    core = replace(CLASSIFIER, one_run=one_run)
    streams: dict[int, list[Record]] = {0: [], 1: [], 2: []}
    for offset, (stream, index) in enumerate(messages):
        value = encode_event(a_vector(index, final=index == 3)) if index < 4 else b"junk"
        streams[stream].append(a_record(value, offset))
    together = core.advance_many([Turn(None, records) for records in streams.values()])
    for records, found in zip(streams.values(), together, strict=True):
        score: Score | None = None
        for record, steps in zip(records, found, strict=True):
            assert repr(steps) == repr(CLASSIFIER.advance(score, record))
            score = steps[0].saved or score


def test_an_origin_that_is_no_chunk_is_refused_and_silences_nothing() -> None:
    """The core asks once for all that waits, and goes on with the true windows of that stream."""
    asked: list[set[Place]] = []

    def unsent(places: Collection[Place]) -> set[Place]:
        asked.append(set(places))
        return {place for place in places if place.offset >= 9}

    core = replace(CLASSIFIER, unsent=unsent)
    vectors = [a_vector(0, start=10**6), a_vector(0), a_vector(1)]
    records = [a_record(encode_event(vector), n) for n, vector in enumerate(vectors)]
    ((forged,), (first,), (second,)) = core.advance_many([Turn(None, records)])[0]
    assert asked == [{Place("t", 0, 0), Place("t", 0, 10**6)}]
    (letter,) = forged.dead_letters
    assert "t[0]@1000000" in str(letter.error)
    assert not forged.events
    assert forged.released == (0,)
    assert [bool(step.events) for step in (first, second)] == [True, True]
