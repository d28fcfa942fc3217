"""The shipped head on `musicnn-200`: chosen by folds apart by artist, fitted on all audio at hand.

The fault-filtered test tracks are left out, whether their audio is at hand or not.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.data.artists import read_artists
from training.data.datasets import Dataset, Probabilities
from training.data.other_sounds import OtherFeatures, other_features
from training.data.splits import Split, fault_filtered
from training.evaluation.onnx_evaluation import parse_model
from training.evaluation.scores import score_tracks
from training.models.fitting import Fitted, fit, to_file
from training.shipped.head_cards import HeadReport, head_card

FEATURE_SET: Final = "musicnn-200"
ESTIMATOR: Final = "vote-discriminant"
NAME: Final = f"{ESTIMATOR}-{FEATURE_SET}"
SEEDS: Final = (0, 1, 2)
N_FOLDS: Final = 10
#: Genres with so few artists in the audio at hand that tracks, not artists, are kept apart.
SAME_ARTIST_GENRES: Final = ("pop", "reggae")
#: Genres of fewer tracks are also scored leaving one track out at a time.
SCARCE_TRACKS: Final = 20
#: In place of the estimator's own.
PARAMETERS: Final[Mapping[str, Any]] = {"limit": 6.0, "outlier": 54.0}
#: Confidence of a stream below which it is called unknown.
UNKNOWN_BELOW: Final = 0.25


def make(data: Dataset, splits: Path, output: Path, created: str) -> HeadReport:
    """Score the recipe, fit it to everything, and write model and card.

    Parameters
    ----------
    data
        Windows of `FEATURE_SET`.
    splits
        Folder of the fault-filtered split and Sturm's index of artists.
    output
        Folder for the model and its card.
    created
        ISO 8601 date.
    """
    others = other_features(FEATURE_SET)
    report = assess(data, splits, others)
    fitted = fit_all(data, fault_filtered(splits), others, report)
    file = to_file(fitted, created, report.figures(), name=NAME, unknown_below=UNKNOWN_BELOW)
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{NAME}.onnx").write_bytes(file)
    metadata = parse_model(file, NAME).metadata
    text = head_card(report, fitted, metadata, file)
    (output / f"{NAME}.md").write_text(text, encoding="utf-8")
    return report


def fit_all(data: Dataset, split: Split, others: OtherFeatures, report: HeadReport) -> Fitted:
    """Fit to all tracks but those of the test side; the scores are those of the folds."""
    from training.models.vote_discriminant import VoteDiscriminant

    data = usable(data, split)
    model = VoteDiscriminant(**PARAMETERS).fit(data.X, data.y, data.tracks, others)
    sides = "all audio at hand but the fault-filtered test tracks"
    return Fitted(ESTIMATOR, model, data, data, sides, report.artist_folds)


def at_hand(split: Split, data: Dataset) -> Split:
    """Reduce the fault-filtered split to the tracks whose audio is at hand, valid as test side."""
    present = frozenset(data.track_rows)
    return Split(f"{split.name} audio at hand", split.train & present, split.valid & present)


def usable(data: Dataset, split: Split) -> Dataset:
    """Leave out the test tracks."""
    return data.of_tracks(frozenset(data.track_rows) - split.test)


def assess(data: Dataset, splits: Path, others: OtherFeatures) -> HeadReport:
    """Score the recipe in every way that the card tells."""
    split = fault_filtered(splits)
    data = usable(data, split)
    valid = fit(ESTIMATOR, data, at_hand(split, data), 0, PARAMETERS, others=others).scores
    artists = read_artists(splits / "sturm_index.txt")
    by_artist = [_fold_probabilities(data, others, _artist_groups(data, artists), s) for s in SEEDS]
    by_chance = [_fold_probabilities(data, others, data.recordings, s) for s in SEEDS]
    honest = np.mean(by_artist, axis=0)
    scores = score_tracks(data, honest)
    known, right = _coverage(data, honest)
    return HeadReport(
        valid,
        scores,
        score_tracks(data, np.mean(by_chance, axis=0)),
        leave_one_out(data, others),
        known,
        right,
    )


def _artist_groups(data: Dataset, artists: dict[str, str]) -> np.ndarray:
    """Name what must stay on one side of a fold, by row: artists, or recordings."""

    def group(track: str, recording: str) -> str:
        return recording if track.startswith(SAME_ARTIST_GENRES) else artists.get(track, recording)

    return np.array([group(t, r) for t, r in zip(data.tracks, data.recordings, strict=True)])


def _fold_probabilities(
    data: Dataset, others: OtherFeatures, groups: np.ndarray, seed: int
) -> Probabilities:
    """Answer for every row by a model that knows nothing of its group [shape=(n, K)]."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    probabilities = np.zeros((len(data), len(data.labels)))
    for train, test in folds.split(data.X, data.y, groups):
        probabilities[test] = _fitted_to(data.rows(train), others)(data.X[test])
    return probabilities


def _fitted_to(data: Dataset, others: OtherFeatures) -> Callable[[np.ndarray], Probabilities]:
    from training.models.vote_discriminant import VoteDiscriminant

    model = VoteDiscriminant(**PARAMETERS).fit(data.X, data.y, data.tracks, others)
    return model.predict_proba


def leave_one_out(data: Dataset, others: OtherFeatures) -> dict[str, tuple[int, int]]:
    """Count the tracks of scarce genres that are right when fitted to all others but copies."""
    right: dict[str, tuple[int, int]] = {}
    for number, label in enumerate(data.labels):
        tracks = sorted(set(data.tracks[data.y == number].tolist()))
        if len(tracks) <= SCARCE_TRACKS:
            found = [_is_right_alone(data, others, track, number) for track in tracks]
            right[label] = (sum(found), len(found))
    return right


def _is_right_alone(data: Dataset, others: OtherFeatures, track: str, number: int) -> bool:
    rows = data.track_rows[track]
    train = np.flatnonzero(data.recordings != data.recordings[rows[0]])
    probabilities = _fitted_to(data.rows(train), others)(data.X[rows])
    return int(probabilities.mean(axis=0).argmax()) == number


def _coverage(data: Dataset, probabilities: Probabilities) -> tuple[float, float]:
    """Return how many tracks are not called unknown, and how many of those are right."""
    answers = [(probabilities[r].mean(axis=0), data.y[r[0]]) for r in data.track_rows.values()]
    known = [(p.argmax() == y) for p, y in answers if p.max() >= UNKNOWN_BELOW]
    return len(known) / len(answers), float(np.mean(known))
