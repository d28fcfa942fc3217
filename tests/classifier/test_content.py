"""Labels before genre, and how much a window counts for its stream."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import GENRES, Content, GenrePrediction, Shares
from services.classifier import content
from services.classifier.score import Score
from tests.classifier.test_classifier import CLASSIFIER, MODEL, a_vector

MUSIC = Content(0.95, 0.02, 0.1)
SPEECH = Content(0.03, 0.97, 0.1)
OTHER = Content(0.02, 0.05, 0.9)
BOTH = Content(0.9, 0.9, 0.1)
QUIET = Content(0.1, 0.1, 0.1)
BED = Content(0.7, 0.9, 0.1)


def classify(*contents: Content | None, level: float = -20.0) -> list[GenrePrediction]:
    """Return the predictions of a stream whose windows have these contents."""
    score: Score | None = None
    found = []
    for index, held in enumerate(contents):
        vector = msgspec.structs.replace(a_vector(index, level=level), content=held)
        score, prediction = CLASSIFIER.classify(score, vector)
        found.append(prediction)
    return found


@pytest.mark.parametrize(
    ("held", "label", "confidence"),
    [
        (SPEECH, "speech", 0.97),
        (OTHER, "unknown", 0.95),
        (QUIET, "unknown", 0.9),
        (BED, "speech", 0.9),
    ],
)
def test_a_window_without_music_has_no_genre(held: Content, label: str, confidence: float) -> None:
    (prediction,) = classify(held)
    assert prediction.window
    assert prediction.window.label == label
    assert prediction.window.confidence == pytest.approx(confidence)
    assert prediction.window.probabilities == {}
    assert (prediction.label, prediction.probabilities, prediction.windows) == (label, {}, 0)
    assert prediction.content == held


def test_silence_goes_before_what_the_network_hears() -> None:
    (prediction,) = classify(MUSIC, level=-90.0)
    assert prediction.label == "silence"
    assert prediction.shares == Shares(0.0, 0.0, 0.0, 1.0)


def test_vectors_without_content_are_music() -> None:
    (plain,) = classify(None)
    assert plain.label in GENRES
    assert (plain.content, plain.shares) == (None, None)
    (sure,) = classify(Content(1.0, 0.0, 0.0))
    assert sure.probabilities == plain.probabilities


def test_a_head_of_other_sounds_hears_everything() -> None:
    """Only a model of genres takes what is no music for none of its labels."""
    vector = msgspec.structs.replace(a_vector(0), content=OTHER)
    every_sound = replace(CLASSIFIER, music_only=False)
    plain = CLASSIFIER.classify(None, a_vector(0))[1]
    found = every_sound.classify(None, vector)[1]
    assert (found.label, found.probabilities) == (plain.label, plain.probabilities)
    assert (found.content, found.shares) == (OTHER, Shares(0.0, 0.0, 1.0, 0.0))
    assert MODEL.is_of_music
    metadata = msgspec.structs.replace(MODEL.metadata, labels=("guitar", "piano"))
    assert not replace(MODEL, metadata=metadata).is_of_music


def test_speech_over_music_makes_its_genre_less_sure() -> None:
    (clear,), (covered,) = classify(MUSIC), classify(BOTH)
    assert covered.label == clear.label
    assert 1 / len(MODEL.labels) < covered.confidence < clear.confidence
    assert sum(covered.probabilities.values()) == pytest.approx(1.0)
    counts = content.weight(BOTH)
    expected = content.less_sure(list(classify(None)[0].probabilities.values()), counts)
    assert list(covered.probabilities.values()) == pytest.approx(expected)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_speech_never_counts_more(a: float, b: float) -> None:
    less, more = sorted((a, b))
    weights = [content.weight(Content(1.0, speech, 0.0)) for speech in (less, more)]
    assert 1.0 >= weights[0] >= weights[1] >= content.LEAST_WEIGHT


def test_the_stream_weighs_its_windows() -> None:
    *_, last = classify(MUSIC, BOTH, SPEECH)
    windows = [p.window for p in classify(MUSIC, BOTH, SPEECH)]
    (first, second) = (w for w in windows if w and w.probabilities)
    weights = [content.weight(MUSIC), content.weight(BOTH)]
    for label in MODEL.labels:
        values = first.probabilities[label], second.probabilities[label]
        mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        assert last.probabilities[label] == pytest.approx(mean)
    assert last.windows == 2


def test_shares_count_windows_and_may_overlap() -> None:
    *_, last = classify(MUSIC, BOTH, SPEECH, OTHER)
    assert last.shares == Shares(music=0.5, speech=0.5, other=0.25, silence=0.0)


@pytest.mark.parametrize(
    ("contents", "label", "share"),
    [
        ([SPEECH] * 9 + [MUSIC], "speech", 0.9),
        ([OTHER] * 9 + [MUSIC], "unknown", 0.9),
        ([OTHER] * 4 + [SPEECH] * 5 + [MUSIC], "speech", 0.5),
    ],
)
def test_a_stream_of_hardly_any_music_has_no_genre(
    contents: list[Content], label: str, share: float
) -> None:
    *_, last = classify(*contents)
    assert (last.label, last.probabilities, last.confidence) == (label, {}, share)


@pytest.mark.parametrize("contents", [[MUSIC] + [SPEECH] * 3, [MUSIC] * 9 + [SPEECH]])
def test_a_stream_with_some_music_has_a_genre(contents: list[Content]) -> None:
    assert classify(*contents)[-1].label in GENRES


def test_a_score_of_the_last_release_goes_on() -> None:
    score, _ = CLASSIFIER.classify(None, a_vector(0))
    saved = msgspec.to_builtins(score)
    for name in ("hidden", "tally"):
        del saved[name]
    assert msgspec.convert(saved, Score) == score


def test_unknown_below_holds_for_what_speech_covers() -> None:
    strict = replace(CLASSIFIER, unknown_below=0.9)
    vector = msgspec.structs.replace(a_vector(0), content=BOTH)
    assert strict.classify(None, vector)[1].label == "unknown"
