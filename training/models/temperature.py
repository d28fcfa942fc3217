"""Temperatures (Guo et al. 2017): numbers that make probabilities mean what they say.

A window's logits are multiplied by one. A stream's answer is the mean of its windows', and as the
windows err by themselves, the mean is more often right than it says. So it is sharpened by a second
one, the more the more windows agree on it (`schemas.votes`).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.votes import exponent
from training.data.datasets import Classes, Dataset, Probabilities
from training.evaluation.scores import track_vote

#: Rows of some tracks, and the probabilities of their genres by a model that does not know them.
Run = tuple[Dataset, Probabilities]

#: Probabilities below it count as this, for their logarithm.
TINY: Final = 1e-30
#: Where a temperature is looked for.
TEMPERATURES: Final = (0.02, 20.0)
#: Where a sharpness is looked for.
SHARPNESSES: Final = (0.0, 4.0)


def temper(probabilities: Probabilities, temperature: float | NDArray[np.float64]) -> Probabilities:
    """Multiply the logits of probabilities by a number, or by one a row [shape=(n, K)]."""
    factors = np.reshape(temperature, (-1, 1))
    logits = np.log(np.maximum(probabilities, TINY)) * factors
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    tempered: Probabilities = odds / odds.sum(axis=1, keepdims=True)
    return tempered


def log_loss(y: Classes, probabilities: Probabilities) -> float:
    """Return the mean of minus the logarithm of the truth's probability."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(y)), y], TINY)).mean())


def best_temperature(runs: Sequence[Run]) -> float:
    """Return the temperature of the least log loss of the rows, each of the runs alike."""

    def loss(logarithm: float) -> float:
        return float(np.mean([log_loss(d.y, temper(p, np.exp(logarithm))) for d, p in runs]))

    return float(np.exp(_least(loss, np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]))))


def best_sharpness(runs: Sequence[Run]) -> float:
    """Return the sharpness of votes of the least log loss of the tracks; see `vote`."""

    def loss(sharpness: float) -> float:
        return float(np.mean([log_loss(*vote(d, p, sharpness)) for d, p in runs]))

    return _least(loss, *SHARPNESSES)


def vote(
    data: Dataset, probabilities: Probabilities, sharpness: float
) -> tuple[Classes, Probabilities]:
    """Answer for tracks as the classifier service does for streams.

    Returns
    -------
    y
        Genre of each track [shape=(m,)].
    probabilities
        Mean over its rows, sharpened [shape=(m, K)].
    """
    y, means = track_vote(data.y, probabilities, data.tracks)
    counts = [len(rows) for rows in data.track_rows.values()]
    return y, temper(means, np.array([exponent(n, sharpness) for n in counts]))


def _least(loss: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return float(found.x)
