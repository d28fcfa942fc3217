"""Discriminant analysis for windows that vote: what tells tracks apart counts most.

The windows of one track agree, so their vote averages out how windows differ inside of a track, and
not how tracks of one genre differ. The covariance that genres are told apart by therefore weighs
the scatter between tracks more than that within them (as probabilistic linear discriminant analysis
does for speakers, Ioffe 2006).

A genre is a mixture of Gaussians (Hastie and Tibshirani 1996), one for each of its tracks, on the
way from the genre's mean to the track's. A genre of few tracks is then near to what is like one of
them, and one of many and various tracks is not everywhere.

Sounds that are no music may have Gaussians of their own, and a flat background takes what is far
from everything. Their probability is shared among all genres: the answer is then unsure.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from schemas import INPUT_NAME, OUTPUT_NAME
from training.data.datasets import Classes, Features, Probabilities, Tracks
from training.data.other_sounds import OtherFeatures

if TYPE_CHECKING:
    import onnx

Float64s = NDArray[np.float64]

#: Scatter of the other sounds in the covariance, beside that of the genres.
OTHERS_SHARE: Final = 0.02
#: Added to shares before their logarithm; the least that float64 holds with all its digits.
TINY: Final = 1e-300


class _Graph(NamedTuple):
    """The linear parts of an answer, for G Gaussians, M mixtures of them and K classes.

    Attributes
    ----------
    products
        To multiply turned rows with [shape=(D, G)].
    norms
        To multiply their squared lengths with [shape=(1, G)].
    constants
        To add [shape=(G,)].
    members
        Weight of each Gaussian in each mixture: the genres, then one a kind [shape=(G, M)].
    shares
        What each mixture adds to each class [shape=(M, K)].
    """

    products: Float64s
    norms: Float64s
    constants: Float64s
    members: Float64s
    shares: Float64s


class VoteDiscriminant(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # no types
    """Gaussians of one covariance, for the tracks of genres and for sounds that are no music.

    Parameters
    ----------
    between
        Weight of the scatter between tracks; that of the scatter within them is 1.
    shrinkage
        Share of the covariance's diagonal alone.
    spread
        Where the Gaussians of tracks lie: 0 at their genre's mean, which is linear discriminant
        analysis, 1 at their own.
    width
        Variance of those Gaussians over the covariance: the smaller, the more the nearest counts.
    temperature
        Factor of the logits. The weight of `between` makes distances small, so it is above 1.
    limit
        What features are squashed to, from both sides and in their unit, by its hyperbolic tangent;
        ``None`` for no such limit.
    others_bonus
        Taken from the squared distance to other sounds, to be rather unsure than wrong.
    outlier
        Squared distance beyond which a window is like nothing known; ``None`` for no such limit.
    """

    def __init__(
        self,
        *,
        between: float = 5.0,
        shrinkage: float = 0.12,
        spread: float = 0.5,
        width: float = 0.5,
        temperature: float = 5.0,
        limit: float | None = None,
        others_bonus: float = 6.0,
        outlier: float | None = None,
    ) -> None:
        self.between = between
        self.shrinkage = shrinkage
        self.spread = spread
        self.width = width
        self.temperature = temperature
        self.limit = limit
        self.others_bonus = others_bonus
        self.outlier = outlier

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
        rows = self._squash(X)
        weight = _weights(y, tracks)
        genres = np.array(
            [np.average(rows[y == k], axis=0, weights=weight[y == k]) for k in self.classes_]
        )
        _, first, inverse = np.unique(tracks, return_index=True, return_inverse=True)
        means = _group_means(rows, inverse)
        self.genre_of_ = np.searchsorted(self.classes_, y[first])
        homes = genres[self.genre_of_]
        within = _covariance(rows - means[inverse], weight)
        between = _covariance((means - homes)[inverse], weight)
        covariance = within + self.between * between
        centres = homes + self.spread * (means - homes)
        if others is not None:
            apart, kinds = _others(self._squash(others.X), others.kinds)
            covariance += OTHERS_SHARE * self.between * (apart - covariance)
            centres = np.concatenate([centres, kinds])
        diagonal = np.diag(np.diag(covariance))
        covariance = (1 - self.shrinkage) * covariance + self.shrinkage * diagonal
        self.factor_ = np.linalg.inv(np.linalg.cholesky(covariance)).T
        self.mean_ = np.average(rows, axis=0, weights=weight)
        self.centres_ = (centres - self.mean_) @ self.factor_
        return self

    def _squash(self, X: Features) -> Float64s:
        rows = X.astype(np.float64)
        return rows if self.limit is None else self.limit * np.tanh(rows / self.limit)

    def _graph(self) -> "_Graph":
        """Return what makes penalties of rows, and probabilities of penalties."""
        n_tracks, n_genres = len(self.genre_of_), len(self.classes_)
        products = -2 * self.centres_.T
        norms = np.ones((1, len(self.centres_)))
        constants = np.square(self.centres_).sum(axis=1)
        constants[n_tracks:] -= self.others_bonus
        if self.outlier is not None:
            products = np.pad(products, ((0, 0), (0, 1)))
            norms = np.pad(norms, ((0, 0), (0, 1)))
            constants = np.append(constants, self.outlier)
        n_others = len(constants) - n_tracks
        members = np.zeros((len(constants), n_genres + n_others))
        members[np.arange(n_tracks), self.genre_of_] = (
            1 / np.bincount(self.genre_of_)[self.genre_of_]
        )
        members[n_tracks:, n_genres:] = np.eye(n_others)
        shares = np.full((n_genres + n_others, n_genres), 1.0 / n_genres)
        shares[:n_genres] = np.eye(n_genres)
        return _Graph(products, norms, constants, members, shares)

    def predict_proba(self, X: Features) -> Probabilities:
        """Return the probability of each class [shape=(n, K)]."""
        graph = self._graph()
        turned = (self._squash(X) - self.mean_) @ self.factor_
        lengths = np.square(turned).sum(axis=1)[:, None]
        penalties = lengths * graph.norms + turned @ graph.products + graph.constants
        mixtures = _softmax(penalties * (-0.5 / self.width)) @ graph.members
        logits = np.log(mixtures + TINY) * (self.temperature * self.width)
        probabilities: Probabilities = _softmax(logits) @ graph.shares
        return probabilities

    def predict(self, X: Features) -> NDArray[np.int64]:
        """Return the likeliest class [shape=(n,)]."""
        classes: NDArray[np.int64] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def to_onnx(self, opset: int) -> "onnx.ModelProto":
        """Convert to an ONNX graph; it computes in float64, for the logits reach hundreds."""
        from onnx import TensorProto, helper, numpy_helper

        constants = self._graph()._asdict() | {
            "mean": self.mean_,
            "factor": self.factor_,
            "last": np.array([1]),
            "narrowness": np.array(-0.5 / self.width),
            "tiny": np.array(TINY),
            "sharpness": np.array(self.temperature * self.width),
        }
        nodes = [helper.make_node("Cast", [INPUT_NAME], ["x"], to=TensorProto.DOUBLE)]
        if self.limit is not None:
            constants["limit"] = np.array(self.limit)
            nodes += [
                helper.make_node("Div", ["x", "limit"], ["relative"]),
                helper.make_node("Tanh", ["relative"], ["limited"]),
                helper.make_node("Mul", ["limited", "limit"], ["squashed"]),
            ]
        nodes += [
            helper.make_node("Sub", [nodes[-1].output[0], "mean"], ["centred"]),
            helper.make_node("MatMul", ["centred", "factor"], ["turned"]),
            helper.make_node("ReduceSumSquare", ["turned", "last"], ["lengths"], keepdims=1),
            helper.make_node("MatMul", ["lengths", "norms"], ["far"]),
            helper.make_node("MatMul", ["turned", "products"], ["near"]),
            helper.make_node("Add", ["far", "near"], ["apart"]),
            helper.make_node("Add", ["apart", "constants"], ["penalties"]),
            helper.make_node("Mul", ["penalties", "narrowness"], ["exponents"]),
            helper.make_node("Softmax", ["exponents"], ["gaussians"], axis=1),
            helper.make_node("MatMul", ["gaussians", "members"], ["mixtures"]),
            helper.make_node("Add", ["mixtures", "tiny"], ["positive"]),
            helper.make_node("Log", ["positive"], ["logarithms"]),
            helper.make_node("Mul", ["logarithms", "sharpness"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["odds"], axis=1),
            helper.make_node("MatMul", ["odds", "shares"], ["answer"]),
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


def _group_means(rows: Float64s, groups: NDArray[np.intp]) -> Float64s:
    """Return the mean of each group's rows [shape=(number of groups, D)]."""
    counts = np.bincount(groups)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, groups, rows)
    means: Float64s = sums / counts[:, None]
    return means


def _covariance(deviations: Float64s, weight: Float64s) -> Float64s:
    """Return the weighted mean of outer products [shape=(D, D)]."""
    covariance: Float64s = (deviations * weight[:, None]).T @ deviations
    return covariance


def _others(rows: Float64s, kinds: NDArray[np.str_]) -> tuple[Float64s, Float64s]:
    """Return the covariance of other sounds within their kind [(D, D)], and the kinds' means."""
    _, groups = np.unique(kinds, return_inverse=True)
    means = _group_means(rows, groups)
    apart = rows - means[groups]
    return apart.T @ apart / len(rows), means


def _softmax(logits: Float64s) -> Float64s:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Float64s = odds / odds.sum(axis=1, keepdims=True)
    return shares
