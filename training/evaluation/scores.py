"""Figures of a classifier from its probabilities: pure functions, no plots."""

from collections.abc import Sequence
from math import sqrt
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.data.datasets import Classes, Dataset, Probabilities, Tracks

#: Two-sided 95 % quantile of the normal distribution.
Z_95: Final = 1.959963984540054
N_BINS: Final = 10


class GenreScore(msgspec.Struct, frozen=True):
    """Figures of one genre; ``support`` is its number of rows or tracks."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class ReliabilityBin(msgspec.Struct, frozen=True):
    """Answers of like confidence: their number, mean confidence and share of right ones."""

    count: int
    confidence: float
    accuracy: float


class Scores(msgspec.Struct, frozen=True):
    """Figures of a classifier on one set of rows or tracks.

    Attributes
    ----------
    count
        Number of rows or tracks.
    accuracy, accuracy_low, accuracy_high
        Share of right answers, with its 95 % Wilson interval.
    top3
        Share of truths among the three likeliest genres.
    macro_f1
        Unweighted mean F1 of the genres.
    ece
        Expected calibration error, ten equal bins of confidence (Guo et al. 2017).
    genres
        In the order of the labels.
    confusion
        Rows are truths, columns answers [shape=(K, K)].
    reliability
        The bins of `ece` that hold answers.
    """

    count: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    top3: float
    macro_f1: float
    ece: float
    genres: tuple[GenreScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]

    @property
    def best(self) -> GenreScore:
        """The genre of the highest F1."""
        return max(self.genres, key=lambda genre: genre.f1)

    @property
    def worst(self) -> GenreScore:
        """The genre of the lowest F1."""
        return min(self.genres, key=lambda genre: genre.f1)


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927).

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson_interval(145, 290)]
    [0.443, 0.557]
    >>> wilson_interval(0, 39)[0]
    0.0
    """
    share = successes / count
    centre = share + Z_95**2 / (2 * count)
    half = Z_95 * sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def reliability(right: NDArray[np.bool_], confidence: Probabilities) -> list[ReliabilityBin]:
    """Group answers by confidence into `N_BINS` equal bins; empty ones are left out.

    Parameters
    ----------
    right
        Whether each answer is right [shape=(n,)].
    confidence
        Its probability [shape=(n,)].
    """
    index = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    return [
        ReliabilityBin(
            int(np.count_nonzero(index == i)),
            float(confidence[index == i].mean()),
            float(right[index == i].mean()),
        )
        for i in np.unique(index)
    ]


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the mean distance of confidence and accuracy, weighted by the bins' counts."""
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / total


def score(y: Classes, probabilities: Probabilities, labels: Sequence[str]) -> Scores:
    """Compute all figures.

    Parameters
    ----------
    y
        Truths [shape=(n,)].
    probabilities
        Of each genre [shape=(n, K)].
    labels
        Names of the K genres.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    classes = np.arange(len(labels))
    answers = probabilities.argmax(axis=1)
    right = answers == y
    top3 = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    per_genre = precision_recall_fscore_support(y, answers, labels=classes, zero_division=0.0)
    bins = reliability(right, probabilities.max(axis=1))
    low, high = wilson_interval(int(right.sum()), len(y))
    return Scores(
        count=len(y),
        accuracy=float(right.mean()),
        accuracy_low=low,
        accuracy_high=high,
        top3=float((top3 == y[:, None]).any(axis=1).mean()),
        macro_f1=float(per_genre[2].mean()),
        ece=expected_calibration_error(bins),
        genres=tuple(
            GenreScore(label, float(p), float(r), float(f1), int(n))
            for label, p, r, f1, n in zip(labels, *per_genre, strict=True)
        ),
        confusion=tuple(
            tuple(int(n) for n in row) for row in confusion_matrix(y, answers, labels=classes)
        ),
        reliability=tuple(bins),
    )


def track_vote(
    y: Classes, probabilities: Probabilities, tracks: Tracks
) -> tuple[Classes, Probabilities]:
    """Average the windows of each track, as the classifier's stream state does.

    Returns
    -------
    y
        Genre of each track [shape=(m,)].
    probabilities
        Mean over its windows [shape=(m, K)].
    """
    _, first, inverse, counts = np.unique(
        tracks, return_index=True, return_inverse=True, return_counts=True
    )
    sums = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(sums, inverse, probabilities)
    return y[first], sums / counts[:, None]


def score_tracks(data: Dataset, probabilities: Probabilities) -> Scores:
    """Score the vote of each track's windows; probabilities are by window [shape=(n, K)]."""
    return score(*track_vote(data.y, probabilities, data.tracks), data.labels)
