"""Evaluate an ONNX file on rows that it was not fitted to."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from schemas import ModelMetadata
from schemas.errors import ModelError
from training.data.datasets import Dataset, Features, Probabilities
from training.errors import DataError, SplitError
from training.evaluation import scores as metrics
from training.evaluation.rejection import (
    HeardClips,
    NewArtists,
    OtherSounds,
    RejectPoint,
    hear_other_sounds,
    new_artists,
    reject_curve,
)
from training.evaluation.scores import Scores
from training.models import export
from training.models.fitting import IMPURITY_IMPORTANCES, TRAINING_TRACKS
from training.models.temperature import vote

#: Shuffles of each feature for its permutation importance.
N_REPEATS: Final = 10


class Importance(msgspec.Struct, frozen=True):
    """Importance of one feature.

    Attributes
    ----------
    feature
        Its name.
    permutation, permutation_std
        Loss of accuracy when its values are shuffled (Breiman 2001), mean and spread.
    impurity
        Mean decrease of impurity of a forest; ``None`` for other models.
    """

    feature: str
    permutation: float
    permutation_std: float
    impurity: float | None


class Evaluation(msgspec.Struct, frozen=True):
    """Everything that the report shows of one model."""

    model: str
    version: str
    data: str
    split: str
    feature_set: str
    by_window: Scores
    by_track: Scores
    importances: tuple[Importance, ...]
    remarks: tuple[str, ...]
    curve: tuple[RejectPoint, ...] = ()
    new_artists: NewArtists | None = None
    other_sounds: OtherSounds | None = None


class OnnxModel(msgspec.Struct, frozen=True):
    """An ONNX file with what it says of itself.

    Attributes
    ----------
    file
        Its bytes.
    metadata
        As the classifier service reads it.
    training_tracks
        What it was fitted to; ``None`` if the file does not say.
    impurity
        Importances by feature, of forests alone.
    """

    file: bytes
    metadata: ModelMetadata
    training_tracks: frozenset[str] | None
    impurity: tuple[float, ...] | None


def load_model(path: Path) -> OnnxModel:
    """Read an ONNX file of ours.

    Raises
    ------
    ModelError
        The file is missing, is no ONNX, or lacks metadata.
    """
    try:
        return parse_model(path.read_bytes(), str(path))
    except OSError as error:
        raise ModelError(f"no model {path}: make one by genrestream train") from error


def parse_model(file: bytes, name: str) -> OnnxModel:
    """Read the bytes of an ONNX file; `name` is for the error alone."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        props = {p.key: p.value for p in onnx.load_from_string(file).metadata_props}
    except DecodeError as error:
        raise ModelError(f"{name} is no ONNX file: make one by genrestream train") from error
    tracks, impurity = props.get(TRAINING_TRACKS), props.get(IMPURITY_IMPORTANCES)
    return OnnxModel(
        file,
        ModelMetadata.from_props(props),
        frozenset(json.loads(tracks)) if tracks else None,
        tuple(json.loads(impurity)) if impurity else None,
    )


def check_unseen(model: OnnxModel, data: Dataset, test: frozenset[str]) -> None:
    """Refuse to evaluate on tracks, or copies of them, that the model was fitted to.

    Raises
    ------
    SplitError
        There are some.
    """
    if model.training_tracks is None:
        return
    known = set(data.recordings[np.isin(data.tracks, sorted(model.training_tracks))].tolist())
    tested = data.of_tracks(test)
    recording = dict(zip(data.tracks.tolist(), data.recordings.tolist(), strict=True))
    seen = sorted(track for track in tested.track_rows if recording[track] in known)
    if seen:
        raise SplitError(
            f"{model.metadata.name} was fitted to {len(seen)} of {len(tested.track_rows)} test "
            f"tracks ({', '.join(seen[:5])}, …): evaluate on the split that it was fitted on "
            f"({model.metadata.split})"
        )


def evaluate(
    model: OnnxModel,
    data: Dataset,
    test: frozenset[str],
    split: str,
    seed: int,
    artists: Mapping[str, str] | None = None,
) -> Evaluation:
    """Compute all figures of a model on the test tracks.

    Parameters
    ----------
    model
        See `check_unseen` for what it must not have been fitted to.
    data
        All rows of the table.
    test
        Tracks to evaluate on.
    split
        Its name, for the report.
    seed
        Of the shuffles of the permutation importance.
    artists
        By track, to score the tracks of artists alone that the model was not fitted to.
    """
    rows = data.of_tracks(test)
    if not len(rows):
        raise DataError(f"{data.name} has no row of the {len(test)} test tracks of {split}")
    predict = export.predictor(model.file)
    probabilities = predict(rows.X)
    remarks = data.remarks()
    if model.training_tracks is None:
        remarks.append("the model does not say what it was fitted to: leaks cannot be ruled out")
    y, voted = vote(rows, probabilities, model.metadata.vote_sharpness)
    known = model.training_tracks or frozenset()
    right = voted.argmax(axis=1) == y
    return Evaluation(
        model=model.metadata.name,
        version=model.metadata.version,
        data=data.name,
        split=split,
        feature_set=data.feature_set,
        by_window=metrics.score(rows.y, probabilities, rows.labels),
        by_track=metrics.score(y, voted, rows.labels),
        importances=_importances(permutation_losses(predict, rows, seed), rows, model.impurity),
        remarks=tuple(remarks),
        curve=reject_curve([(y, voted)]),
        new_artists=new_artists(rows, right, artists, known) if artists else None,
    )


def other_sounds(model: OnnxModel, clips: HeardClips) -> OtherSounds:
    """Say what a model makes of clips that are none of its labels."""
    predict = export.predictor(model.file)
    answers = {name: predict(X) for name, X in clips.features.items()}
    labels, limit = model.metadata.labels, model.metadata.unknown_below
    return hear_other_sounds(answers, labels, limit, clips.skipped, clips.content)


def _importances(
    losses: np.ndarray, rows: Dataset, impurities: Sequence[float] | None
) -> tuple[Importance, ...]:
    impurity = impurities or (None,) * len(losses)
    return tuple(
        Importance(name, float(loss.mean()), float(loss.std()), value)
        for name, loss, value in zip(rows.feature_names, losses, impurity, strict=True)
    )


def permutation_losses(
    predict: Callable[[Features], Probabilities], rows: Dataset, seed: int
) -> np.ndarray:
    """Return the loss of accuracy by row when one feature is shuffled [shape=(D, n_repeats)]."""
    random = np.random.default_rng(seed)

    def accuracy(X: Features) -> float:
        return float((predict(X).argmax(axis=1) == rows.y).mean())

    def shuffled(feature: int) -> Features:
        X = rows.X.copy()
        X[:, feature] = random.permutation(X[:, feature])
        return X

    base = accuracy(rows.X)
    width = rows.X.shape[1]
    return np.array(
        [[base - accuracy(shuffled(i)) for _ in range(N_REPEATS)] for i in range(width)]
    )
