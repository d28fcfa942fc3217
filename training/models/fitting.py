"""Fit an estimator on one side of a split and turn it into a file with its figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas import ModelMetadata
from training.data.artists import row_weights
from training.data.datasets import Dataset, check_trainable
from training.data.splits import Split, check
from training.errors import DataError
from training.evaluation.scores import Scores, score_tracks
from training.models import export
from training.models.estimators import Classifier, estimator_kind

#: ``metadata_props`` of our files beside those of `schemas.ModelMetadata`.
TRAINING_TRACKS: Final = "training_tracks"
IMPURITY_IMPORTANCES: Final = "impurity_importances"
VERSION: Final = "1.0.0"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted estimator, the data it was fitted to and its scores on the test side.

    Attributes
    ----------
    name
        Of the kind of estimator.
    estimator
        Fitted.
    fitting, testing
        The rows of the two sides.
    split
        Name of the split and of the sides fitted to.
    scores
        By track, on the test side.
    """

    name: str
    estimator: Classifier
    fitting: Dataset
    testing: Dataset
    split: str
    scores: Scores


def fit(
    name: str,
    data: Dataset,
    split: Split,
    seed: int,
    parameters: Mapping[str, Any] | None = None,
    *,
    keep_valid: bool = False,
    artists: Mapping[str, str] | None = None,
) -> Fitted:
    """Fit on all but the test side of a split, and score on the test side.

    Parameters
    ----------
    name
        Of an estimator.
    data
        The rows of all sides.
    split
        Checked first: one that leaks is refused.
    seed
        Of everything random in the estimator.
    parameters
        In place of the kind's own.
    keep_valid
        Whether to leave the valid side unseen.
    artists
        By track, to weigh rows by; see `training.data.artists`.
    """
    check(split, data)
    fitting = data.of_tracks(split.train if keep_valid else split.fitting)
    testing = data.of_tracks(split.test)
    check_trainable(fitting, f"the training side of {split.name}")
    estimator = estimator_kind(name).build(seed).set_params(**(parameters or {}))
    options = _options(name, fitting, artists)
    try:
        estimator.fit(fitting.X, fitting.y, **options)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{name} cannot be fitted to {len(fitting)} rows: {reason}") from error
    sides = "train+valid" if split.valid and not keep_valid else "train"
    scores = score_tracks(testing, estimator.predict_proba(testing.X))
    return Fitted(name, estimator, fitting, testing, f"{split.name}: {sides}", scores)


def _options(name: str, fitting: Dataset, artists: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what the estimator's ``fit`` takes beside features and classes."""
    if not artists:
        return {}
    if not estimator_kind(name).weighted:
        raise DataError(f"{name} cannot weigh rows by artist: leave the artists out")
    return {"sample_weight": row_weights(fitting, artists)}


def to_file(
    fitted: Fitted,
    created: str,
    scores: Mapping[str, float],
    *,
    name: str = "",
    unknown_below: float = 0.0,
    vote_sharpness: float = 0.0,
    pooled_with: str = "",
    pool_weights: tuple[float, float] = (1.0, 0.0),
) -> bytes:
    """Export to ONNX, with the tracks fitted to, so that no evaluation can leak.

    Parameters
    ----------
    fitted
        Checked for parity on all its rows.
    created
        ISO 8601 date.
    scores
        Figures for the metadata.
    name
        Of the model; by default its kind's and its feature set's.
    unknown_below
        Confidence below which the service answers ``unknown``.
    vote_sharpness
        How much surer a stream is than the mean of its windows.
    pooled_with, pool_weights
        The model on content's embedding that is asked, too, and what each counts.
    """
    metadata = ModelMetadata(
        name=name or f"{fitted.name}-{fitted.fitting.feature_set}",
        version=VERSION,
        feature_set=fitted.fitting.feature_set,
        feature_names=fitted.fitting.feature_names,
        labels=fitted.fitting.labels,
        training_data=fitted.fitting.name,
        split=fitted.split,
        metrics={key: round(value, 4) for key, value in scores.items()},
        created=created,
        unknown_below=unknown_below,
        vote_sharpness=round(vote_sharpness, 4),
        pooled_with=pooled_with,
        pool_weights=(round(pool_weights[0], 4), round(pool_weights[1], 4)),
    )
    extra = {TRAINING_TRACKS: json.dumps(sorted(fitted.fitting.track_rows))}
    importances = impurity_importances(fitted.estimator)
    if importances is not None:
        extra[IMPURITY_IMPORTANCES] = json.dumps([round(v, 6) for v in importances])
    data = export.to_onnx(fitted.estimator, metadata, extra)
    rows = np.concatenate([fitted.fitting.X, fitted.testing.X])
    export.check_parity(data, fitted.estimator, rows)
    return data


def impurity_importances(estimator: Classifier) -> Sequence[float] | None:
    """Return a forest's mean decrease of impurity by feature [shape=(D,)], others have none."""
    importances = getattr(estimator, "feature_importances_", None)
    return None if importances is None else [float(value) for value in importances]
