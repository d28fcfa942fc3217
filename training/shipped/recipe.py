"""The recipe of the shipped heads: how it answers in folds, is fitted, and is scored."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.data.heard_tracks import HeardTracks
from training.data.splits import Split
from training.evaluation.rejection import reject_curve
from training.evaluation.scores import Scores, score
from training.models.discriminant_mean import mean_discriminant
from training.models.estimators import Classifier
from training.models.temperature import Run, vote
from training.shipped.candidates import CHOSEN, Candidate, candidate
from training.shipped.choice import Answers, answer_all, right_tracks
from training.shipped.head_cards import WayReport


def members(chosen: Candidate) -> list[Candidate]:
    """Return the candidates that the chosen one is the mean of."""
    return [candidate(name) for name in chosen.members]


def fit_head(heard: HeardTracks, temperature: float) -> Classifier:
    """Fit the chosen candidate: one linear model, its logits times the temperature."""
    parts: list[Any] = [m.fit(m.rows(heard)) for m in members(candidate(CHOSEN)) if m.fit]
    model: Classifier = mean_discriminant(parts, temperature)
    return model


def answer_in_folds(heard: HeardTracks, drawn_from: HeardTracks | None = None) -> Answers:
    """Answer by the recipe, fitted to the tracks of other artists; see `choice.answer`."""
    chosen = candidate(CHOSEN)
    return answer_all([*members(chosen), chosen], heard, drawn_from=drawn_from)[CHOSEN]


def way_report(runs: Sequence[Run], sharpness: float, valid: Scores) -> WayReport:
    """Score the tracks heard in one way; the figures are of the mean of the repetitions."""
    data = runs[0][0]
    right = right_tracks(runs)
    voted = [vote(data, run, sharpness) for _, run in runs]
    y, mean = voted[0][0], np.mean([p for _, p in voted], axis=0)
    rows = np.mean([run for _, run in runs], axis=0)
    return WayReport(
        accuracy=float(right.mean()),
        folds=score(y, mean, data.labels),
        rows=score(data.y, rows, data.labels),
        track_ece=float(np.mean([score(y, p, data.labels).ece for _, p in voted])),
        row_ece=float(np.mean([score(data.y, run, data.labels).ece for _, run in runs])),
        valid=valid,
        curve=reject_curve([(y, p) for _, p in voted]),
    )


def on_valid(heard: HeardTracks, split: Split, temperature: float) -> tuple[Run, Run]:
    """Fit to train alone, and answer for the valid side: pairs, and windows of whole tracks."""
    model = fit_head(heard.of_tracks(split.train), temperature)
    held_back = heard.of_tracks(split.valid)
    found = Answers(
        (model.predict_proba(held_back.pairs.X),), (model.predict_proba(held_back.windows.X),)
    )
    pairs, windows = found.whole(held_back)
    return pairs[0], windows[0]
