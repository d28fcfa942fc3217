import msgspec
import numpy as np
import pytest

from training.evaluation.scores import score, track_vote, wilson_interval

LABELS = ("blues", "jazz", "rock", "pop")


def one_hot(classes: list[int], confidence: float) -> np.ndarray:
    """Give the named class that confidence and share the rest."""
    rest = (1 - confidence) / (len(LABELS) - 1)
    probabilities = np.full((len(classes), len(LABELS)), rest)
    probabilities[np.arange(len(classes)), classes] = confidence
    return probabilities


def test_figures_of_a_known_case() -> None:
    y = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    scores = score(y, one_hot([0, 0, 1, 2, 2, 2, 3, 0], 0.7), LABELS)
    assert scores.accuracy == 6 / 8
    assert scores.confusion == ((2, 0, 0, 0), (0, 1, 1, 0), (0, 0, 2, 0), (1, 0, 0, 1))
    blues, jazz, rock, _ = scores.genres
    assert (blues.precision, blues.recall, blues.support) == (2 / 3, 1.0, 2)
    assert jazz.f1 == pytest.approx(2 / 3)
    assert rock.precision == 2 / 3
    assert scores.best.label == "blues"
    assert scores.worst.label == "jazz"
    assert scores.macro_f1 == pytest.approx(np.mean([g.f1 for g in scores.genres]))


def test_calibration_error_is_the_gap_of_confidence_and_accuracy() -> None:
    y = np.zeros(10, int)
    answers = [0] * 9 + [1]
    assert score(y, one_hot(answers, 0.9), LABELS).ece == pytest.approx(0.0, abs=1e-12)
    assert score(y, one_hot(answers, 0.5), LABELS).ece == pytest.approx(0.4)
    assert score(y, one_hot(answers, 1.0), LABELS).reliability[0].count == 10


def test_top_three_leaves_out_the_last() -> None:
    probabilities = np.array([[0.4, 0.3, 0.2, 0.1]] * 4)
    assert score(np.arange(4), probabilities, LABELS).top3 == 0.75


def test_wilson_interval_holds_the_share_and_stays_inside() -> None:
    assert wilson_interval(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson_interval(0, 10)[0] == pytest.approx(0.0, abs=1e-12)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)


def test_a_vote_averages_the_windows_of_each_track() -> None:
    tracks = np.array(["b", "a", "b", "a", "b"])
    y = np.array([1, 0, 1, 0, 1])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    voted_y, voted = track_vote(y, probabilities, tracks)
    assert voted_y.tolist() == [0, 1]
    assert voted[0] == pytest.approx(probabilities[[1, 3]].mean(axis=0))
    assert voted[1] == pytest.approx(probabilities[[0, 2, 4]].mean(axis=0))


def test_scores_are_plain_json() -> None:
    scores = score(np.array([0, 1]), one_hot([0, 1], 0.7), LABELS)
    assert msgspec.json.decode(msgspec.json.encode(scores))["accuracy"] == 1.0
