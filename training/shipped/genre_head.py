"""The shipped genre heads on MusiCNN: assessed in folds, fitted to all that is heard.

The fault-filtered test tracks are left out of every fit, and so are the 70 tracks that are outside
of the split, for many are copies of tracks inside of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from features import CONTENT_SET, NETWORK_SETS
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
from training.evaluation.scores import score_tracks
from training.models.fitting import Fitted, to_file
from training.models.temperature import Run, best_sharpness, temper, vote
from training.shipped import content_head
from training.shipped.candidates import CHOSEN, candidate
from training.shipped.choice import Answers, outcome
from training.shipped.content_head import ContentHead
from training.shipped.head_cards import HeadReport, head_card
from training.shipped.recipe import answer_in_folds, fit_head, on_valid, way_report

NAME: Final = f"lda-{FEATURE_SET}"
#: Of the heads that ship, each on a feature set: the default first.
NAMES: Final = {f"lda-{name}": name for name in NETWORK_SETS if name != CONTENT_SET}
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


def make(
    heard: HeardTracks,
    split: Split,
    output: Path,
    created: str = CREATED,
    other: ContentHead | None = None,
) -> HeadReport:
    """Score the recipe, fit it to everything, and write model and card.

    The name is of the feature set of what is heard.

    Parameters
    ----------
    heard, split
        What it is fitted to.
    output, created
        Folder, and ISO 8601 date.
    other
        The head on content's embedding that it is pooled with.
    """
    name = f"lda-{heard.windows.feature_set}"
    report = assess(heard, split, other)
    fitted = fit_all(heard, report)
    file = to_file(
        fitted,
        created,
        report.figures(),
        name=name,
        unknown_below=report.unknown_below,
        vote_sharpness=report.sharpness,
        pooled_with=content_head.NAME if report.pool else "",
        pool_weights=report.pool.weights if report.pool else (1.0, 0.0),
    )
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.onnx").write_bytes(file)
    metadata = parse_model(file, name).metadata
    text = head_card(report, fitted, metadata, file)
    (output / f"{name}.md").write_text(text, encoding="utf-8")
    return report


def fit_all(heard: HeardTracks, report: HeadReport) -> Fitted:
    """Fit to all tracks of train and valid; the scores are those of the folds."""
    data = replace(all_rows(heard), name="GTZAN, embeddings of 639 tracks and audio at hand")
    model = fit_head(heard, report.temperature)
    return Fitted("lda", model, data, data, "fault-filtered: train+valid", report.pairs.folds)


def assess(heard: HeardTracks, split: Split, other: ContentHead | None = None) -> HeadReport:
    """Score the recipe in every way that the card says."""
    answers = answer_in_folds(heard)
    result = outcome(candidate(CHOSEN), answers, heard)
    temperature = result.temperature
    tempered = answers.map(lambda run: temper(run, temperature))
    ways = tempered.whole(heard)
    sharpness = best_sharpness([run for runs in ways for run in runs])
    valid = on_valid(heard, split, temperature)
    pool = (
        content_head.assess_pool(heard, other, split, answers, temperature, sharpness)
        if other
        else None
    )
    return HeadReport(
        chosen=CHOSEN,
        temperature=temperature,
        sharpness=sharpness,
        unknown_below=_unknown_below(ways, tempered, sharpness),
        score=result.score,
        standard_error=result.standard_error,
        pairs=way_report(ways[0], sharpness, score_tracks(*valid[0])),
        windows=way_report(ways[1], sharpness, score_tracks(*valid[1])),
        audio_tracks=len(heard.windows.track_rows),
        artists=len(set(heard.groups(sorted(heard.tracks)).tolist())),
        pool=pool,
    )


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
