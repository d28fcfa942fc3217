"""The shipped genre head on `musicnn-200`: assessed in folds, fitted to all that is heard.

The fault-filtered test tracks are left out of every fit, and so are the 70 tracks that are outside
of the split, for many are copies of tracks inside of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from features import NETWORK_SETS
from training.data.artists import read_artists
from training.data.datasets import Dataset
from training.data.heard_tracks import (
    EMBEDDINGS,
    FEATURE_SET,
    HeardTracks,
    all_rows,
    read_pairs,
)
from training.data.splits import Split, fault_filtered
from training.evaluation.onnx_evaluation import parse_model
from training.evaluation.rejection import reject_curve
from training.evaluation.scores import Scores, score, score_tracks
from training.models.discriminant_mean import mean_discriminant
from training.models.estimators import Classifier
from training.models.fitting import Fitted, to_file
from training.models.temperature import Run, best_sharpness, temper, vote
from training.shipped.candidates import CHOSEN, Candidate, candidate
from training.shipped.choice import Answers, Outcome, answer_all, outcome
from training.shipped.head_cards import HeadReport, WayReport, head_card

NAME: Final = f"lda-{FEATURE_SET}"
#: Of the heads that ship, each on a feature set: the default first.
NAMES: Final = {f"lda-{name}": name for name in NETWORK_SETS}
#: Day of the data: a file made again from it has the same bytes.
CREATED: Final = "2026-11-25"
#: Share of real music that may be called unknown: of tracks, of windows.
UNKNOWN_TRACKS: Final = 0.01
UNKNOWN_WINDOWS: Final = 0.03
#: Limits of confidence that are tried.
LIMITS: Final = tuple(round(0.2 + 0.01 * i, 2) for i in range(31))


def read_heard(folder: Path, windows: Dataset) -> tuple[HeardTracks, Split]:
    """Put together what is heard of the train and valid sides, and the split.

    Parameters
    ----------
    folder
        Holds ``embeddings/`` and ``splits/``.
    windows
        Of the audio at hand; tracks outside of both sides are left out.
    """
    split = fault_filtered(folder / "splits")
    pairs = read_pairs(folder / EMBEDDINGS, split.fitting, windows.feature_set)
    artists = read_artists(folder / "splits" / "sturm_index.txt")
    return HeardTracks(pairs, windows.of_tracks(split.fitting), artists), split


def make(heard: HeardTracks, split: Split, output: Path, created: str = CREATED) -> HeadReport:
    """Score the recipe, fit it to everything, and write model and card.

    The name is of the feature set of what is heard.
    """
    name = f"lda-{heard.windows.feature_set}"
    report = assess(heard, split)
    fitted = fit_all(heard, report)
    file = to_file(
        fitted,
        created,
        report.figures(),
        name=name,
        unknown_below=report.unknown_below,
        vote_sharpness=report.sharpness,
    )
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.onnx").write_bytes(file)
    metadata = parse_model(file, name).metadata
    text = head_card(report, fitted, metadata, file)
    (output / f"{name}.md").write_text(text, encoding="utf-8")
    return report


def members(chosen: Candidate) -> list[Candidate]:
    """Return the candidates that the chosen one is the mean of."""
    return [candidate(name) for name in chosen.members]


def fit_head(heard: HeardTracks, temperature: float) -> Classifier:
    """Fit the chosen candidate: one linear model, its logits times the temperature."""
    parts: list[Any] = [m.fit(m.rows(heard)) for m in members(candidate(CHOSEN)) if m.fit]
    model: Classifier = mean_discriminant(parts, temperature)
    return model


def fit_all(heard: HeardTracks, report: HeadReport) -> Fitted:
    """Fit to all tracks of train and valid; the scores are those of the folds."""
    data = replace(all_rows(heard), name="GTZAN, embeddings of 639 tracks and audio at hand")
    model = fit_head(heard, report.temperature)
    return Fitted("lda", model, data, data, "fault-filtered: train+valid", report.pairs.folds)


def assess(heard: HeardTracks, split: Split) -> HeadReport:
    """Score the recipe in every way that the card says."""
    chosen = candidate(CHOSEN)
    answers = answer_all([*members(chosen), chosen], heard)[CHOSEN]
    result = outcome(chosen, answers, heard)
    temperature = result.temperature
    tempered = answers.map(lambda run: temper(run, temperature))
    ways = tempered.whole(heard)
    sharpness = best_sharpness([run for runs in ways for run in runs])
    valid = _on_valid(heard, split, temperature)
    return HeadReport(
        chosen=CHOSEN,
        temperature=temperature,
        sharpness=sharpness,
        unknown_below=_unknown_below(ways, tempered, sharpness),
        score=result.score,
        standard_error=result.standard_error,
        pairs=_way(ways[0], result, sharpness, valid[0], of_pairs=True),
        windows=_way(ways[1], result, sharpness, valid[1], of_pairs=False),
        audio_tracks=len(heard.windows.track_rows),
        artists=len(set(heard.groups(sorted(heard.tracks)).tolist())),
    )


def _way(
    runs: Sequence[Run], result: Outcome, sharpness: float, valid: Scores, *, of_pairs: bool
) -> WayReport:
    """Score the tracks heard in one way; the figures are of the mean of the repetitions."""
    data = runs[0][0]
    n = len(data.track_rows)
    right = result.right[:n] if of_pairs else result.right[-n:]
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


def _on_valid(heard: HeardTracks, split: Split, temperature: float) -> list[Scores]:
    """Fit to train alone, and score the valid side: pairs, and windows of whole tracks."""
    model = fit_head(heard.of_tracks(split.train), temperature)
    held_back = heard.of_tracks(split.valid)
    found = Answers(
        (model.predict_proba(held_back.pairs.X),), (model.predict_proba(held_back.windows.X),)
    )
    return [score_tracks(*runs[0]) for runs in found.whole(held_back)]


def _unknown_below(ways: Sequence[Sequence[Run]], tempered: Answers, sharpness: float) -> float:
    """Return the highest limit that calls no more music unknown than is allowed, in either way."""
    tracks = [
        np.concatenate([vote(*run, sharpness)[1].max(axis=1) for run in runs]) for runs in ways
    ]
    windows = np.concatenate([run.max(axis=1) for run in tempered.windows])
    fits = [
        limit
        for limit in LIMITS
        if all((way < limit).mean() <= UNKNOWN_TRACKS for way in tracks)
        and (windows < limit).mean() <= UNKNOWN_WINDOWS
    ]
    return max(fits, default=0.0)
