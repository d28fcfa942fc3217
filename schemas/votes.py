"""How sure a stream is of the mean of its windows' probabilities, for training and serving alike.

Windows err by themselves, so their mean is right more often than its probabilities say, and one
window's is not. A model says by ``vote_sharpness`` how much.
"""

from collections.abc import Sequence


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
