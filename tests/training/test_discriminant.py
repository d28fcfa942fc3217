import numpy as np
import pytest

from tests.training.conftest import make_dataset
from training.models.discriminant import DiscriminantAnalysis


def test_without_own_covariances_it_is_linear_discriminant_analysis() -> None:
    """The same answers as scikit-learn's, which pools covariances and shrinks them alike."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    data = make_dataset(noise=2.0)
    data.X[:, :] -= data.X.max(axis=0) + 1.0  # nothing is non-negative: no powers
    ours = DiscriminantAnalysis(shrinkage=0.0, own=0.0, temperature=1.0).fit(data.X, data.y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(data.X.astype(float), data.y)
    difference = ours.predict_proba(data.X) - theirs.predict_proba(data.X.astype(float))
    assert np.abs(difference).max() < 1e-6


def test_only_features_that_are_never_negative_get_powers() -> None:
    data = make_dataset()
    data.X[:, 3] = np.abs(data.X[:, 3])
    model = DiscriminantAnalysis().fit(data.X, data.y)
    assert np.flatnonzero(model.positive_).tolist() == [3]


def test_a_heavier_row_moves_its_genre() -> None:
    data = make_dataset()
    weights = np.ones(len(data))
    weights[0] = 1e6
    plain = DiscriminantAnalysis().fit(data.X, data.y)
    heavy = DiscriminantAnalysis().fit(data.X, data.y, weights)
    row = (data.X[0].astype(float) - heavy.mean_) / heavy.scale_
    assert np.abs(heavy.centres_[0] - row).max() < 1e-3
    assert np.abs(plain.centres_[0] - row).max() > 1e-3


@pytest.mark.parametrize("temperature", [0.1, 0.42, 1.0])
def test_temperature_changes_confidence_alone(temperature: float) -> None:
    data = make_dataset(noise=3.0)
    hot = DiscriminantAnalysis(temperature=1.0).fit(data.X, data.y).predict_proba(data.X)
    cool = DiscriminantAnalysis(temperature=temperature).fit(data.X, data.y).predict_proba(data.X)
    assert np.array_equal(hot.argmax(axis=1), cool.argmax(axis=1))
    assert cool.max(axis=1).mean() <= hot.max(axis=1).mean()
