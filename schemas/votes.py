"""How the answers of windows become a stream's, and those of two models one, for all rooms alike.

Windows err by themselves, so their mean is right more often than its probabilities say, and one
window's is not. A model says by ``vote_sharpness`` how much, and by ``pool_weights`` how it is
pooled with another one.
"""

import math
from collections.abc import Sequence
from typing import Final

#: Probabilities below it count as this, for their logarithm.
_TINY: Final = 1e-30


def exponent(windows: float, sharpness: float) -> float:
    """Return the power that a mean of so many windows is raised to.

    Examples
    --------
    >>> exponent(1, 0.5), exponent(10, 0.5)
    (1.0, 1.45)
    """
    return 1.0 + sharpness * (1.0 - 1.0 / max(1.0, windows))


def sharpen(probabilities: Sequence[float], windows: float, sharpness: float) -> list[float]:
    """Raise a mean over windows to that power and scale it to sum to 1; its order stays.

    Parameters
    ----------
    probabilities
        Mean over the windows, one a label; they sum to 1.
    windows
        How many windows, or the sum of their weights.
    sharpness
        What the model's file says; 0 leaves the mean as it is.

    Examples
    --------
    >>> [round(p, 3) for p in sharpen([0.6, 0.4], 100, 1.0)]
    [0.691, 0.309]
    """
    if sharpness == 0.0:
        return list(probabilities)
    power = exponent(windows, sharpness)
    raised = [p**power for p in probabilities]
    total = sum(raised)
    return [p / total for p in raised]


def pool(one: Sequence[float], other: Sequence[float], weights: tuple[float, float]) -> list[float]:
    """Pool two models' probabilities of the same labels: a logarithmic opinion pool.

    Genest and Zidek 1986, *Combining Probability Distributions*.

    Parameters
    ----------
    one, other
        They sum to 1 each.
    weights
        Of their logarithms.

    Examples
    --------
    >>> [round(p, 3) for p in pool([0.6, 0.4], [0.8, 0.2], (0.5, 0.5))]
    [0.71, 0.29]
    """
    logits = [
        weights[0] * math.log(max(p, _TINY)) + weights[1] * math.log(max(q, _TINY))
        for p, q in zip(one, other, strict=True)
    ]
    largest = max(logits)
    odds = [math.exp(logit - largest) for logit in logits]
    total = sum(odds)
    return [p / total for p in odds]
