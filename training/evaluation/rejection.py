"""What surer answers leave out, and what a head says of new artists and of other sounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.data.datasets import Classes, Dataset, Probabilities
from training.errors import DataError

LIMITS: Final = tuple(round(0.1 * i, 1) for i in range(10))


class RejectPoint(msgspec.Struct, frozen=True):
    """What a limit of confidence leaves.

    Attributes
    ----------
    limit
        Least confidence.
    coverage
        Share of answers as sure as that.
    accuracy
        Share of right ones among them.
    """

    limit: float
    coverage: float
    accuracy: float


class NewArtists(msgspec.Struct, frozen=True):
    """Tracks by artists that the model was not fitted to.

    Attributes
    ----------
    tracks, artists
        How many.
    accuracy, standard_error
        Share of right tracks; the error takes artists, not tracks, for what is drawn.
    known
        Tracks left out: by artists that the model knows, or by nobody known.
    """

    tracks: int
    artists: int
    accuracy: float
    standard_error: float
    known: int


class OtherSounds(msgspec.Struct, frozen=True):
    """What a head makes of clips that are none of its labels.

    Attributes
    ----------
    clips, windows
        How many.
    clips_labelled, windows_labelled
        Share that gets a label and not ``unknown``, by the head alone.
    labels
        How many clips get each label.
    skipped
        Files that could not be heard, and why.
    """

    clips: int
    windows: int
    clips_labelled: float
    windows_labelled: float
    labels: dict[str, int]
    skipped: tuple[str, ...]


def reject_curve(
    answers: Sequence[tuple[Classes, Probabilities]],
) -> tuple[RejectPoint, ...]:
    """Return the curve of answers (truths, probabilities [shape=(n, K)]), of one or more runs."""
    right = np.concatenate([p.argmax(axis=1) == y for y, p in answers])
    sure = np.concatenate([p.max(axis=1) for _, p in answers])
    return tuple(
        RejectPoint(limit, float((sure >= limit).mean()), float(right[sure >= limit].mean()))
        for limit in LIMITS
        if (sure >= limit).any()
    )


def clustered_error(values: NDArray[np.float64], groups: NDArray[np.str_]) -> float:
    """Return the standard error of a mean whose values come in groups."""
    _, inverse = np.unique(groups, return_inverse=True)
    sums = np.bincount(inverse, weights=values - values.mean())
    return float(np.sqrt(np.square(sums).sum()) / len(values))


def new_artists(
    data: Dataset,
    right: NDArray[np.bool_],
    artists: Mapping[str, str],
    fitted: frozenset[str],
) -> NewArtists:
    """Score the tracks whose artists are named and were not fitted to.

    Parameters
    ----------
    data
        Rows of the tested tracks.
    right
        Whether each track is right [shape=(m,)], in the order of ``data.track_rows``.
    artists
        By track.
    fitted
        Tracks that the model was fitted to.
    """
    known = {artists[track] for track in fitted if track in artists}
    tracks = list(data.track_rows)
    apart = np.array([t in artists and artists[t] not in known for t in tracks])
    if not apart.any():
        raise DataError(f"none of {len(tracks)} tracks is by a named artist that it does not know")
    names = np.array([artists.get(track, "") for track in tracks])[apart]
    values = right[apart].astype(np.float64)
    return NewArtists(
        tracks=int(apart.sum()),
        artists=len(set(names.tolist())),
        accuracy=float(values.mean()),
        standard_error=clustered_error(values, names),
        known=int((~apart).sum()),
    )


def hear_other_sounds(
    clips: Mapping[str, Probabilities],
    labels: Sequence[str],
    unknown_below: float,
    skipped: Sequence[str] = (),
) -> OtherSounds:
    """Count what gets a label.

    Parameters
    ----------
    clips
        Probabilities of each clip's windows [shape=(n, K)].
    labels
        The K names.
    unknown_below
        Confidence below which the answer is ``unknown``.
    skipped
        Files that could not be heard.
    """
    if not clips:
        raise DataError(f"no clip could be heard: {'; '.join(skipped[:3]) or 'there is none'}")
    windows = np.concatenate(list(clips.values()))
    means = np.array([rows.mean(axis=0) for rows in clips.values()])
    sure = means.max(axis=1) >= unknown_below
    counts = np.bincount(means[sure].argmax(axis=1), minlength=len(labels))
    return OtherSounds(
        clips=len(clips),
        windows=len(windows),
        clips_labelled=float(sure.mean()),
        windows_labelled=float((windows.max(axis=1) >= unknown_below).mean()),
        labels={name: int(n) for name, n in zip(labels, counts, strict=True) if n},
        skipped=tuple(skipped),
    )


def extract_clips(
    folder: Path, feature_set: str
) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Extract the windows of all audio below a folder: features by clip, and what is broken."""
    from features.feature_sets import WINDOW_SECONDS
    from training.data.audio_folders import audio_below
    from training.data.extraction import extract_file

    heard: dict[str, NDArray[np.float32]] = {}
    skipped = []
    for file in audio_below(folder):
        result = extract_file(file, feature_set, WINDOW_SECONDS)
        if result.error:
            skipped.append(f"{file.path}: {result.error}")
        else:
            heard[file.track] = np.array([row.values for row in result.rows], np.float32)
    return heard, skipped
