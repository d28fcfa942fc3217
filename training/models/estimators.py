"""The estimators by name: how to build each and the grid to search.

Every estimator takes float32 features as they are (scaling is a step of its pipeline) and gives
probabilities, so that evaluation, search and export treat all alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from training.data.datasets import Classes, Features, Probabilities
from training.errors import DataError


class Classifier(Protocol):
    """What scikit-learn calls a classifier with probabilities."""

    def fit(self, X: Features, y: Classes, **weights: Any) -> "Classifier":
        """Fit to features [shape=(n, D)] and classes [shape=(n,)]; some take more: `weighted`."""

    def predict_proba(self, X: Features) -> Probabilities:
        """Return the probability of each class [shape=(n, K)]."""

    def set_params(self, **parameters: Any) -> "Classifier":
        """Set parameters by name, in a pipeline ``step__name``."""


Grid = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class EstimatorKind:
    """How to build an estimator.

    Attributes
    ----------
    build
        Takes the random seed, gives the unfitted estimator.
    grid
        Values by parameter for ``--search``.
    weighted
        Whether ``fit`` takes weights of rows.
    """

    build: Callable[[int], Classifier]
    grid: Grid
    weighted: bool = False


def _random_forest(seed: int) -> Classifier:
    """Build the study's random forest."""
    from sklearn.ensemble import RandomForestClassifier

    model: Classifier = RandomForestClassifier(
        n_estimators=70, max_depth=None, min_samples_split=3, random_state=seed
    )
    return model


def _extra_trees(seed: int) -> Classifier:
    """Build the study's extremely randomised trees."""
    from sklearn.ensemble import ExtraTreesClassifier

    model: Classifier = ExtraTreesClassifier(
        n_estimators=50, max_depth=None, min_samples_split=4, random_state=seed
    )
    return model


def _mlp(seed: int) -> Classifier:
    """Build the study's network."""
    from training.models.dense_network import Network

    return Network(seed=seed)


def _logistic(seed: int) -> Classifier:
    from sklearn.linear_model import LogisticRegression

    return _scaled(LogisticRegression(C=0.1, max_iter=2000, random_state=seed))


def _svm(seed: int) -> Classifier:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.svm import SVC

    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    machine = SVC(C=3.0, gamma="scale", random_state=seed)
    return _scaled(CalibratedClassifierCV(machine, cv=folds, ensemble=False))


def _hist_gradient_boosting(seed: int) -> Classifier:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model: Classifier = HistGradientBoostingClassifier(
        learning_rate=0.1, max_iter=100, max_leaf_nodes=15, random_state=seed
    )
    return model


def _discriminant(_seed: int) -> Classifier:
    from training.models.discriminant import DiscriminantAnalysis

    return DiscriminantAnalysis()


def _lda(_seed: int) -> Classifier:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return _scaled(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))


def _ensemble(seed: int) -> Classifier:
    """Average the probabilities of three unlike models."""
    from sklearn.ensemble import VotingClassifier

    members = [("logistic", _logistic(seed)), ("svm", _svm(seed)), ("trees", _extra_trees(seed))]
    model: Classifier = VotingClassifier(members, voting="soft", flatten_transform=False)
    return model


def _scaled(last: Any) -> Classifier:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline: Classifier = Pipeline([("scale", StandardScaler()), ("model", last)])
    return pipeline


_FOREST_GRID: Final[Grid] = {
    "max_depth": (None, 10, 20),
    "min_samples_split": (2, 3, 4),
    "n_estimators": (50, 70, 100),
}

#: All estimators by name; the first three are the study's.
ESTIMATORS: Final[Mapping[str, EstimatorKind]] = {
    "mlp": EstimatorKind(_mlp, {"dropout": (0.0, 0.2, 0.4), "l2": (0.0, 1e-3)}),
    "random-forest": EstimatorKind(_random_forest, _FOREST_GRID),
    "extra-trees": EstimatorKind(_extra_trees, _FOREST_GRID),
    "logistic": EstimatorKind(_logistic, {"model__C": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)}),
    "svm": EstimatorKind(
        _svm,
        {
            "model__estimator__C": (0.3, 1.0, 3.0, 10.0, 30.0),
            "model__estimator__gamma": ("scale", 0.003, 0.01, 0.03),
        },
    ),
    "hist-gradient-boosting": EstimatorKind(
        _hist_gradient_boosting,
        {"learning_rate": (0.03, 0.1), "max_leaf_nodes": (7, 15, 31), "max_iter": (100, 200)},
    ),
    "discriminant": EstimatorKind(
        _discriminant,
        {"shrinkage": (0.01, 0.02, 0.05, 0.1), "own": (0.0, 0.05, 0.1, 0.15)},
        weighted=True,
    ),
    "lda": EstimatorKind(_lda, {"model__shrinkage": ("auto", 0.03, 0.1, 0.3)}),
    "ensemble": EstimatorKind(_ensemble, {"weights": ((1, 1, 1), (1, 2, 1), (1, 2, 2), (0, 1, 1))}),
}

STUDY_MODELS: Final = ("mlp", "random-forest", "extra-trees")


def estimator_kind(name: str) -> EstimatorKind:
    """Return the kind of estimator of that name.

    Raises
    ------
    DataError
        There is none.
    """
    if name not in ESTIMATORS:
        raise DataError(f"no estimator {name!r}: choose {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]
