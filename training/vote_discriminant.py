"""Linear discriminant analysis for windows that vote: what tells tracks apart counts most.

The windows of one track agree, so their vote averages out how windows differ inside of a track, and
not how tracks of one genre differ. The covariance that genres are told apart by therefore weighs
the scatter between tracks more than that within them (as probabilistic linear discriminant analysis
does for speakers, Ioffe 2006).

Sounds that are no music may have Gaussians of their own, and a flat background takes what is far
from everything. Their probability is shared among all genres: the answer is then unsure.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from schemas import INPUT_NAME, OUTPUT_NAME
from training.datasets import Classes, Features, Probabilities, Tracks
from training.other_sounds import OtherFeatures

if TYPE_CHECKING:
    import onnx

Float64s = NDArray[np.float64]

#: Scatter of the other sounds in the covariance, beside that of the genres.
OTHERS_SHARE: Final = 0.02
#: A genre of fewer tracks gets no higher bonus: one track says too little.
MIN_TRACKS: Final = 8


class VoteDiscriminant(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # no types
    """Gaussians of one covariance, for genres and for sounds that are none.

    Parameters
    ----------
    between
        Weight of the scatter between tracks; that of the scatter within them is 1.
    shrinkage
        Share of the covariance's diagonal alone.
    temperature
        Factor of the logits. The weight of `between` makes distances small, so it is above 1.
    others_bonus
        Taken from the squared distance to other sounds, to be rather unsure than wrong.
    outlier
        Squared distance beyond which a window is like nothing known; ``None`` for no such limit.
    scarce_bonus
        Over the number of a genre's tracks, taken from the squared distance to its mean: the mean
        of few tracks lies off, and makes all distances to it longer.
    """

    def __init__(
        self,
        *,
        between: float = 6.0,
        shrinkage: float = 0.15,
        temperature: float = 7.5,
        others_bonus: float = 2.0,
        outlier: float | None = None,
        scarce_bonus: float = 0.0,
    ) -> None:
        self.between = between
        self.shrinkage = shrinkage
        self.temperature = temperature
        self.others_bonus = others_bonus
        self.outlier = outlier
        self.scarce_bonus = scarce_bonus

    def fit(
        self, X: Features, y: Classes, tracks: Tracks, others: OtherFeatures | None = None
    ) -> "VoteDiscriminant":
        """Fit; every genre counts alike, and in it every track.

        Parameters
        ----------
        X, y
            Features of windows [shape=(n, D)] and their classes [shape=(n,)].
        tracks
            Track of each window [shape=(n,)].
        others
            Features of sounds that are no music.
        """
        self.classes_ = np.unique(y)
        rows = X.astype(np.float64)
        weight = _weights(y, tracks)
        centres = [np.average(rows[y == k], axis=0, weights=weight[y == k]) for k in self.classes_]
        within, between = _scatter(
            rows, np.array(centres)[np.searchsorted(self.classes_, y)], tracks, weight
        )
        covariance = within + self.between * between
        bonus = list(self.scarce_bonus / np.maximum(_track_counts(y, tracks), MIN_TRACKS))
        if others is not None:
            apart, means = _others(others)
            covariance += OTHERS_SHARE * self.between * (apart - covariance)
            centres += means
            bonus += [self.others_bonus] * len(means)
        diagonal = np.diag(np.diag(covariance))
        covariance = (1 - self.shrinkage) * covariance + self.shrinkage * diagonal
        self.factor_ = np.linalg.inv(np.linalg.cholesky(covariance)).T
        self.mean_ = np.average(rows, axis=0, weights=weight)
        self.centres_ = (np.array(centres) - self.mean_) @ self.factor_
        self.offsets_ = np.square(self.centres_).sum(axis=1) - bonus
        return self

    def _graph(self) -> tuple[Float64s, Float64s, Float64s, Float64s]:
        """Return what makes penalties of rows, and probabilities of Gaussians.

        Returns
        -------
        products
            To multiply turned rows with [shape=(D, G)].
        norms
            To multiply their squared lengths with [shape=(1, G)].
        constants
            To add [shape=(G,)].
        shares
            What each Gaussian adds to each class [shape=(G, K)].
        """
        products, constants = -2 * self.centres_.T, self.offsets_
        norms = np.ones((1, len(constants)))
        if self.outlier is not None:
            products = np.pad(products, ((0, 0), (0, 1)))
            norms = np.pad(norms, ((0, 0), (0, 1)))
            constants = np.append(constants, self.outlier)
        count = len(self.classes_)
        shares = np.full((len(constants), count), 1.0 / count)
        shares[:count] = np.eye(count)
        return products, norms, constants, shares

    def predict_proba(self, X: Features) -> Probabilities:
        """Return the probability of each class [shape=(n, K)]."""
        products, norms, constants, shares = self._graph()
        turned = (X.astype(np.float64) - self.mean_) @ self.factor_
        penalties = np.square(turned).sum(axis=1)[:, None] * norms + turned @ products + constants
        logits = -0.5 * self.temperature * penalties
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = odds / odds.sum(axis=1, keepdims=True) @ shares
        return probabilities

    def predict(self, X: Features) -> NDArray[np.int64]:
        """Return the likeliest class [shape=(n,)]."""
        classes: NDArray[np.int64] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def to_onnx(self, opset: int) -> "onnx.ModelProto":
        """Convert to an ONNX graph; it computes in float64, for the logits reach hundreds."""
        from onnx import TensorProto, helper, numpy_helper

        products, norms, weights, shares = self._graph()
        constants = {
            "mean": self.mean_,
            "factor": self.factor_,
            "products": products,
            "norms": norms,
            "constants": weights,
            "last": np.array([1]),
            "sharpness": np.array(-0.5 * self.temperature),
            "shares": shares,
        }
        nodes = [
            helper.make_node("Cast", [INPUT_NAME], ["x"], to=TensorProto.DOUBLE),
            helper.make_node("Sub", ["x", "mean"], ["centred"]),
            helper.make_node("MatMul", ["centred", "factor"], ["turned"]),
            helper.make_node("ReduceSumSquare", ["turned", "last"], ["lengths"], keepdims=1),
            helper.make_node("MatMul", ["lengths", "norms"], ["far"]),
            helper.make_node("MatMul", ["turned", "products"], ["near"]),
            helper.make_node("Add", ["far", "near"], ["apart"]),
            helper.make_node("Add", ["apart", "constants"], ["penalties"]),
            helper.make_node("Mul", ["penalties", "sharpness"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["gaussians"], axis=1),
            helper.make_node("MatMul", ["gaussians", "shares"], ["answer"]),
            helper.make_node("Cast", ["answer"], [OUTPUT_NAME], to=TensorProto.FLOAT),
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "vote-discriminant", [], [], tensors)
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="genrestream"
        )
        return model


def _weights(y: Classes, tracks: Tracks) -> Float64s:
    """Weigh rows so that genres count alike, and in a genre its tracks [shape=(n,)]."""
    _, inverse, counts = np.unique(tracks, return_inverse=True, return_counts=True)
    by_track = 1.0 / counts[inverse]
    _, genre = np.unique(y, return_inverse=True)
    balanced = by_track / np.bincount(genre, weights=by_track)[genre]
    weights: Float64s = balanced / balanced.sum()
    return weights


def _track_counts(y: Classes, tracks: Tracks) -> Float64s:
    """Count the tracks of each class [shape=(K,)]."""
    return np.array([len(np.unique(tracks[y == k])) for k in np.unique(y)], np.float64)


def _scatter(
    rows: Float64s, centres: Float64s, tracks: Tracks, weight: Float64s
) -> tuple[Float64s, Float64s]:
    """Return the covariances of windows within tracks and of tracks within genres [(D, D)]."""
    _, inverse, counts = np.unique(tracks, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, inverse, rows)
    means = (sums / counts[:, None])[inverse]
    parts = (rows - means, means - centres)
    within, between = ((part * weight[:, None]).T @ part for part in parts)
    return within, between


def _others(others: OtherFeatures) -> tuple[Float64s, list[Float64s]]:
    """Return the covariance of other sounds within their kind [(D, D)], and the kinds' means."""
    kinds, inverse = np.unique(others.kinds, return_inverse=True)
    rows = others.X.astype(np.float64)
    means = [rows[inverse == k].mean(axis=0) for k in range(len(kinds))]
    apart = rows - np.array(means)[inverse]
    return apart.T @ apart / len(rows), means
