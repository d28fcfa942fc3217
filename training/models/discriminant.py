"""Regularised discriminant analysis: one Gaussian a genre (Friedman 1989)."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from schemas import INPUT_NAME, OUTPUT_NAME
from training.data.datasets import Classes, Features, Probabilities

if TYPE_CHECKING:
    import onnx

#: Below it a non-negative feature counts as zero.
EPSILON: Final = 1e-12


class DiscriminantAnalysis(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # no types
    """Gaussians with regularised covariances on features made nearly normal by a power.

    Parameters
    ----------
    power
        Of the features that are never negative, such as variances; the others stay as they are.
    shrinkage
        Share of the identity in the covariance that the genres have in common.
    own
        Share of a genre's own covariance in its covariance: 0 is linear discriminant analysis.
    temperature
        Factor of the logits below 1, for the features are far from independent and normal.
    """

    def __init__(
        self,
        *,
        power: float = 0.2,
        shrinkage: float = 0.05,
        own: float = 0.1,
        temperature: float = 0.42,
    ) -> None:
        self.power = power
        self.shrinkage = shrinkage
        self.own = own
        self.temperature = temperature

    def fit(
        self, X: Features, y: Classes, sample_weight: NDArray[np.float64] | None = None
    ) -> "DiscriminantAnalysis":
        """Fit to features [shape=(n, D)] and classes [shape=(n,)]; every genre counts alike."""
        self.classes_ = np.unique(y)
        weight = _balanced(y, np.ones(len(y)) if sample_weight is None else sample_weight)
        self.positive_ = (X >= 0).all(axis=0)
        Z = self._powers(X)
        self.mean_ = np.average(Z, axis=0, weights=weight)
        self.scale_ = np.sqrt(np.average(np.square(Z - self.mean_), axis=0, weights=weight))
        Z = (Z - self.mean_) / self.scale_
        members = [y == k for k in self.classes_]
        self.centres_ = np.array([np.average(Z[m], axis=0, weights=weight[m]) for m in members])
        own = [np.cov(Z[m], rowvar=False, aweights=weight[m], ddof=0) for m in members]
        self._regularise(np.array(own))
        return self

    def _regularise(self, own: NDArray[np.float64]) -> None:
        """Keep the inverse factor and the log determinant of each covariance [shape=(K, D, D)]."""
        shared = own.mean(axis=0)
        width = len(shared)
        sphere = np.eye(width) * np.trace(shared) / width
        shared = (1 - self.shrinkage) * shared + self.shrinkage * sphere
        mixed = (1 - self.own) * shared + self.own * own
        self.factors_ = np.linalg.cholesky(np.linalg.inv(mixed))
        self.log_determinants_ = np.linalg.slogdet(mixed)[1]

    def _powers(self, X: Features) -> NDArray[np.float64]:
        Z = X.astype(np.float64)
        Z[:, self.positive_] = np.maximum(Z[:, self.positive_], EPSILON) ** self.power
        return Z

    def predict_proba(self, X: Features) -> Probabilities:
        """Return the probability of each class [shape=(n, K)]."""
        Z = (self._powers(X) - self.mean_) / self.scale_
        apart = np.einsum("nkd,kde->nke", Z[:, None] - self.centres_, self.factors_)
        logits = -0.5 * self.temperature * (np.square(apart).sum(axis=2) + self.log_determinants_)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = odds / odds.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Features) -> NDArray[np.int64]:
        """Return the likeliest class [shape=(n,)]."""
        classes: NDArray[np.int64] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def to_onnx(self, opset: int) -> "onnx.ModelProto":
        """Convert to an ONNX graph; it computes in float64, for the logits reach hundreds."""
        from onnx import TensorProto, helper, numpy_helper

        n_classes, width = self.centres_.shape
        constants = {
            "positive": self.positive_,
            "epsilon": np.array(EPSILON),
            "power": np.array(self.power),
            "mean": self.mean_,
            "scale": self.scale_,
            "factors": np.concatenate(list(self.factors_), axis=1),
            "centres": np.einsum("kd,kde->ke", self.centres_, self.factors_).ravel(),
            "shape": np.array([-1, n_classes, width]),
            "last": np.array([2]),
            "log_determinants": self.log_determinants_,
            "factor": np.array(-0.5 * self.temperature),
        }
        nodes = [
            helper.make_node("Cast", [INPUT_NAME], ["x"], to=TensorProto.DOUBLE),
            helper.make_node("Max", ["x", "epsilon"], ["above"]),
            helper.make_node("Pow", ["above", "power"], ["powers"]),
            helper.make_node("Where", ["positive", "powers", "x"], ["normal"]),
            helper.make_node("Sub", ["normal", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["z"]),
            helper.make_node("MatMul", ["z", "factors"], ["turned"]),
            helper.make_node("Sub", ["turned", "centres"], ["apart"]),
            helper.make_node("Reshape", ["apart", "shape"], ["by_class"]),
            helper.make_node("ReduceSumSquare", ["by_class", "last"], ["distances"], keepdims=0),
            helper.make_node("Add", ["distances", "log_determinants"], ["penalties"]),
            helper.make_node("Mul", ["penalties", "factor"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["answer"], axis=1),
            helper.make_node("Cast", ["answer"], [OUTPUT_NAME], to=TensorProto.FLOAT),
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "discriminant", [], [], tensors)
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="genrestream"
        )
        return model


def _balanced(y: Classes, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale weights so that every class has the same total [shape=(n,)]."""
    _, inverse = np.unique(y, return_inverse=True)
    balanced: NDArray[np.float64] = weight / np.bincount(inverse, weights=weight)[inverse]
    return balanced
