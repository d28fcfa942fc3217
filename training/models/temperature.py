"""Temperature scaling (Guo et al. 2017): one number that makes probabilities mean what they say.

Windows of a track vote, and their probabilities are averaged: the mean is surer of itself by
accuracy and less so by confidence than a window is. So the number is chosen for both at once.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas import OUTPUT_NAME
from training.data.datasets import Classes, Dataset, Features, Probabilities
from training.evaluation.scores import track_vote
from training.models.estimators import Classifier

if TYPE_CHECKING:
    import onnx

#: Probabilities below it count as this, for their logarithm.
TINY: Final = 1e-30
#: Where a temperature is looked for.
RANGE: Final = (0.02, 20.0)


def temper(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Multiply the logits of probabilities by a number [shape=(n, K)]."""
    logits = np.log(np.maximum(probabilities, TINY)) * temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    tempered: Probabilities = odds / odds.sum(axis=1, keepdims=True)
    return tempered


def best_temperature(answers: Sequence[tuple[Dataset, Probabilities]]) -> float:
    """Return the number of the least log loss, of rows and of tracks' means alike.

    Parameters
    ----------
    answers
        Rows, and probabilities by models that do not know them [shape=(n, K)].
    """
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return float(np.mean([_loss(d, temper(p, np.exp(logarithm))) for d, p in answers]))

    found = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def _loss(data: Dataset, probabilities: Probabilities) -> float:
    voted = track_vote(data.y, probabilities, data.tracks)
    return log_loss(data.y, probabilities) + log_loss(*voted)


def log_loss(y: Classes, probabilities: Probabilities) -> float:
    """Return the mean of minus the logarithm of the truth's probability."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(y)), y], TINY)).mean())


class Tempered:
    """A fitted estimator whose logits are multiplied by a number.

    Parameters
    ----------
    estimator
        Fitted.
    temperature
        The number.
    """

    def __init__(self, estimator: Classifier, temperature: float) -> None:
        self.estimator = estimator
        self.temperature = temperature

    def fit(self, X: Features, y: Classes, **weights: Any) -> "Tempered":
        """Fit the estimator anew."""
        self.estimator.fit(X, y, **weights)
        return self

    def set_params(self, **parameters: Any) -> "Tempered":
        """Set parameters of the estimator."""
        self.estimator.set_params(**parameters)
        return self

    def predict_proba(self, X: Features) -> Probabilities:
        """Return the probability of each class [shape=(n, K)]."""
        return temper(np.asarray(self.estimator.predict_proba(X), np.float64), self.temperature)

    def predict(self, X: Features) -> NDArray[np.int64]:
        """Return the likeliest class [shape=(n,)]."""
        classes: NDArray[np.int64] = self.predict_proba(X).argmax(axis=1)
        return classes
