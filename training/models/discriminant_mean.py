"""The mean of several linear discriminants: in logits, so that it is one linear model again."""

from collections.abc import Sequence

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def mean_discriminant(models: Sequence[Pipeline], temperature: float = 1.0) -> Pipeline:
    """Average the logits of fitted pipelines of a scaler and a linear discriminant analysis.

    Parameters
    ----------
    models
        ``Pipeline(StandardScaler, LinearDiscriminantAnalysis)`` each, fitted to the same classes.
    temperature
        Factor of the logits.

    Returns
    -------
    A pipeline of the same two steps, with the first model's scaler.
    """
    scaler: StandardScaler = models[0][0]
    coefficients, intercepts = zip(*(_unscaled(model) for model in models), strict=True)
    raw = temperature * np.mean(coefficients, axis=0)
    constant = temperature * np.mean(intercepts, axis=0)
    first: LinearDiscriminantAnalysis = models[0][-1]
    mean = LinearDiscriminantAnalysis(solver="lsqr")
    mean.classes_, mean.n_features_in_ = first.classes_, first.n_features_in_
    mean.coef_ = raw * scaler.scale_
    mean.intercept_ = constant + raw @ scaler.mean_
    return Pipeline([("scale", scaler), ("model", mean)])


def _unscaled(model: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients [shape=(K, D)] and intercepts [shape=(K,)] for features as they are."""
    scaler, discriminant = model[0], model[-1]
    coefficients = discriminant.coef_ / scaler.scale_
    return coefficients, discriminant.intercept_ - coefficients @ scaler.mean_
