"""The head on content's embedding, which the genre heads are pooled with where content is heard.

It is the same recipe on `ced-192`, fitted to windows of audio alone: the public embeddings hold
none of its values. It answers in the very folds of the genre head.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from features import CONTENT_SET
from schemas.votes import pool
from training.data.artists import read_artists
from training.data.datasets import Dataset, Probabilities
from training.data.heard_tracks import EMBEDDINGS, HeardTracks, read_pairs
from training.data.splits import Split, fault_filtered
from training.errors import DataError
from training.evaluation.onnx_evaluation import parse_model
from training.evaluation.rejection import clustered_error
from training.evaluation.scores import score_tracks, track_vote
from training.models.fitting import Fitted, to_file
from training.models.temperature import Run, best_sharpness, best_temperature, temper
from training.shipped.choice import Answers, mean_of, right_tracks
from training.shipped.head_cards import PoolReport, content_head_card
from training.shipped.recipe import answer_in_folds, fit_head, on_valid, way_report

NAME: Final = f"lda-{CONTENT_SET}"


@dataclass(frozen=True, slots=True)
class ContentHead:
    """What the recipe does on content's embedding.

    Attributes
    ----------
    heard
        Windows of audio, in place of the public rows, too.
    answers
        In the folds of the genre head, as the recipe gives them.
    temperature
        That makes them mean what they say.
    """

    heard: HeardTracks
    answers: Answers
    temperature: float

    @property
    def runs(self) -> list[Run]:
        """Whole tracks and their answers at that temperature."""
        tempered = self.answers.map(lambda run: temper(run, self.temperature))
        return tempered.whole(self.heard)[1]


def read_heard(folder: Path, windows: Dataset) -> tuple[ContentHead, Split]:
    """Let the recipe answer for windows of audio, in the folds of all tracks.

    Parameters
    ----------
    folder
        Holds ``embeddings/`` and ``splits/``.
    windows
        Content's embedding of the audio at hand; tracks outside of both sides are left out.
    """
    split = fault_filtered(folder / "splits")
    artists = read_artists(folder / "splits" / "sturm_index.txt")
    pairs = read_pairs(folder / EMBEDDINGS, split.fitting)
    windows = windows.of_tracks(split.fitting)
    return answered(HeardTracks(pairs, windows, artists)), split


def answered(heard: HeardTracks) -> ContentHead:
    """Let the recipe answer for the windows, in the folds of the tracks of the pairs."""
    alone = replace(heard, pairs=heard.windows)
    answers = answer_in_folds(alone, drawn_from=heard)
    return ContentHead(alone, answers, best_temperature(answers.whole(alone)[1]))


def make(head: ContentHead, split: Split, output: Path, created: str) -> float:
    """Fit to all tracks, and write model and card; return the share of right tracks in folds."""
    sharpness = best_sharpness(head.runs)
    valid = score_tracks(*on_valid(head.heard, split, head.temperature)[1])
    report = way_report(head.runs, sharpness, valid)
    data = replace(head.heard.windows, name="GTZAN, audio at hand")
    model = fit_head(head.heard, head.temperature)
    fitted = Fitted("lda", model, data, data, "fault-filtered: train+valid", report.folds)
    figures = {
        "artist_folds_windows_accuracy": report.accuracy,
        "artist_folds_track_ece": report.track_ece,
        "artist_folds_window_ece": report.row_ece,
    }
    file = to_file(fitted, created, figures, name=NAME, vote_sharpness=sharpness)
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{NAME}.onnx").write_bytes(file)
    text = content_head_card(report, fitted, parse_model(file, NAME).metadata, file)
    (output / f"{NAME}.md").write_text(text, encoding="utf-8")
    return report.accuracy


def assess_pool(
    heard: HeardTracks,
    head: ContentHead,
    split: Split,
    answers: Answers,
    temperature: float,
    sharpness: float,
) -> PoolReport:
    """Score a genre head pooled with this one.

    The weights are the mean of both in logits, times the temperature that makes that mean what it
    says; what is pooled is at the temperature of each.

    Parameters
    ----------
    heard, answers, temperature, sharpness
        Of the genre head.
    head, split
        This one, and the sides.

    Raises
    ------
    DataError
        They are not of the same windows.
    """
    if not np.array_equal(head.heard.windows.tracks, heard.windows.tracks):
        raise DataError(
            f"{head.heard.windows.name} and {heard.windows.name} are not of the same windows: "
            "extract both from the same audio"
        )
    rows = replace(heard, pairs=heard.windows)  # which both heads have
    of_rows = [replace(of, pairs=of.windows) for of in (answers, head.answers)]
    runs = mean_of(of_rows, logits=True).whole(rows)[1]
    common = best_temperature(runs)
    weights = (
        round(common / temperature / 2, 4),
        round(common / head.temperature / 2, 4),
    )
    runs = [(data, temper(run, common)) for data, run in runs]
    alone = right_tracks(answers.map(lambda run: temper(run, temperature)).whole(heard)[1])
    right = right_tracks(runs)
    groups = heard.groups(list(runs[0][0].track_rows))
    pairs, windows = on_valid(heard, split, temperature)
    _, others = on_valid(head.heard, split, head.temperature)
    data, pooled = windows[0], _pooled(windows[1], others[1], weights)
    found = {**_right(*pairs), **_right(data, pooled)}
    return PoolReport(
        weights=weights,
        windows=way_report(runs, sharpness, score_tracks(data, pooled)),
        gain=float((right - alone).mean()),
        gain_error=clustered_error(right - alone, groups),
        valid_right=sum(found.values()),
        valid_count=len(found),
    )


def _pooled(
    one: Probabilities, other: Probabilities, weights: tuple[float, float]
) -> Probabilities:
    rows = zip(one.tolist(), other.tolist(), strict=True)
    return np.array([pool(p, q, weights) for p, q in rows])


def _right(data: Dataset, probabilities: Probabilities) -> Mapping[str, bool]:
    """Tell of each track whether its answer is right."""
    y, voted = track_vote(data.y, probabilities, data.tracks)
    right = (voted.argmax(axis=1) == y).tolist()
    return dict(zip(np.unique(data.tracks).tolist(), right, strict=True))
