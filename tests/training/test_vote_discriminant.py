import numpy as np
import pytest

from tests.training.conftest import make_dataset
from training.data.datasets import Dataset
from training.data.other_sounds import KINDS, OtherFeatures, make_sounds
from training.data.splits import random_split
from training.models.export import check_parity
from training.models.fitting import fit, to_file
from training.models.vote_discriminant import VoteDiscriminant


def others_like(data: Dataset, distance: float) -> OtherFeatures:
    """Make two kinds of sounds at some distance from all music, in the features' own scale."""
    random = np.random.default_rng(3)
    scale = data.X.std(axis=0)
    kinds = np.repeat(["hum", "speech"], 30)
    centres = np.where(kinds[:, None] == "hum", distance, -distance)
    X = data.X.mean(axis=0) + (centres + random.normal(size=(60, len(scale)))) * scale
    return OtherFeatures(X.astype(np.float32), kinds)


def fitted(data: Dataset, others: OtherFeatures | None = None, **given: float) -> VoteDiscriminant:
    return VoteDiscriminant(**given).fit(data.X, data.y, data.tracks, others)


def test_with_equal_scatters_it_is_linear_discriminant_analysis() -> None:
    """The scatters within and between tracks add up to the covariance within genres."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    data = make_dataset(windows=4, noise=2.0)
    ours = fitted(data, between=1.0, shrinkage=0.0, spread=0.0, temperature=1.0)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(data.X.astype(float), data.y)
    difference = ours.predict_proba(data.X) - theirs.predict_proba(data.X.astype(float))
    assert np.abs(difference).max() < 1e-6


def test_what_differs_between_tracks_of_a_genre_counts_less() -> None:
    """Tracks scatter along one feature, windows along another; both tell genres as well."""
    random = np.random.default_rng(0)
    data = make_dataset(windows=10)
    by_track = np.repeat(random.normal(size=len(data) // 10), 10)
    signal = data.y.astype(np.float64)
    data.X[:, 0] = signal + by_track
    data.X[:, 1] = signal + random.normal(size=len(data))
    models = [fitted(data, between=weight) for weight in (1.0, 50.0)]
    slopes = [model.factor_ @ model.factor_.T for model in models]
    ratios = [slope[0, 0] / slope[1, 1] for slope in slopes]
    assert ratios[1] < 0.2 * ratios[0]


def test_every_track_counts_alike_in_its_genre() -> None:
    data = make_dataset(windows=2)
    rows = np.concatenate([np.arange(len(data)), np.repeat(data.track_rows[data.tracks[0]], 20)])
    once, often = fitted(data), fitted(data.rows(rows))
    assert np.abs(once.centres_ - often.centres_).max() < 1e-8


def test_other_sounds_get_equal_probabilities_and_music_keeps_its_own() -> None:
    data = make_dataset(windows=3)
    others = others_like(data, 4.0)
    plain, wary = fitted(data), fitted(data, others)
    assert plain.predict_proba(others.X).max(axis=1).mean() > 0.8
    assert wary.predict_proba(others.X) == pytest.approx(0.1, abs=1e-3)
    right = [(model.predict(data.X) == data.y).mean() for model in (plain, wary)]
    assert right[1] > right[0] - 0.02


def test_what_is_far_from_everything_gets_equal_probabilities() -> None:
    data = make_dataset(windows=3)
    model = fitted(data, outlier=60.0)
    assert model.predict_proba(data.X * 50) == pytest.approx(0.1, abs=1e-6)
    assert model.predict_proba(data.X).max(axis=1).mean() > 0.6


def test_a_genre_of_two_unlike_kinds_of_tracks_is_learned_as_such() -> None:
    """Its mean lies where the other genre is, so that one Gaussian a genre tells nothing apart."""
    random = np.random.default_rng(0)
    data = make_dataset(windows=2)
    data = data.rows(np.flatnonzero(data.y < 2))
    track = np.unique(data.tracks, return_inverse=True)[1]
    data.X[:] = random.normal(scale=0.3, size=data.X.shape)
    data.X[data.y == 1, 0] += np.where(track[data.y == 1] % 2, 4.0, -4.0)
    models = [fitted(data, spread=spread, width=0.05) for spread in (0.0, 0.5)]
    right = [(model.predict(data.X) == data.y).mean() for model in models]
    assert right[0] < 0.8
    assert right[1] > 0.9


def test_a_limit_makes_far_values_alike() -> None:
    data = make_dataset(windows=2)
    far = np.where(data.X > 0, 50.0, -50.0).astype(np.float32)
    model = fitted(data, limit=2.0)
    assert model.predict_proba(far) == pytest.approx(model.predict_proba(far * 20), abs=1e-6)


@pytest.mark.parametrize("limit", [None, 6.0])
def test_a_file_that_knows_other_sounds_answers_as_the_original(limit: float | None) -> None:
    data = make_dataset(windows=3)
    others = others_like(data, 4.0)
    given = {"outlier": 60.0, "limit": limit}
    model = fit("vote-discriminant", data, random_split(data, 0), 0, given, others=others)
    file = to_file(model, "2026-01-01", {}, unknown_below=0.3)
    assert check_parity(file, model.estimator, np.concatenate([data.X, others.X])) <= 1e-5


def test_sounds_are_of_every_kind_and_repeatable() -> None:
    sounds = list(make_sounds(2, seed=5))
    assert [kind for kind, _ in sounds] == [kind for kind in KINDS for _ in range(2)]
    for (_, y), (_, again) in zip(sounds, make_sounds(2, seed=5), strict=True):
        assert y.shape == (48_000,)
        assert np.isfinite(y).all()
        assert 0.004 < np.abs(y).max() < 0.51
        assert np.array_equal(y, again)
