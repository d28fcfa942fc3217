"""What surer answers leave out, and what a head says of new artists and of other sounds."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

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


class ContentConfusion(msgspec.Struct, frozen=True):
    """What content says of the windows of one folder, and what it leaves to a head of music.

    Attributes
    ----------
    folder
        First part of the clips' paths; empty for clips that lie in none.
    clips, windows
        How many.
    music, speech, other
        Share of windows with a probability of one half and more.
    labelled
        Share of windows that get a label by the head alone.
    labelled_as_music
        Share that gets one where what is no music has none, as in the services.
    """

    folder: str
    clips: int
    windows: int
    music: float
    speech: float
    other: float
    labelled: float
    labelled_as_music: float


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
    confusion
        What content says of them, by folder.
    """

    clips: int
    windows: int
    clips_labelled: float
    windows_labelled: float
    labels: dict[str, int]
    skipped: tuple[str, ...]
    confusion: tuple[ContentConfusion, ...] = ()


class HeardClips(NamedTuple):
    """Windows of clips.

    Attributes
    ----------
    features
        By clip [shape=(n, D) each].
    content
        Probabilities of music, speech and other sound by clip [shape=(n, 3) each].
    skipped
        Files that could not be heard, and why.
    """

    features: dict[str, NDArray[np.float32]]
    content: dict[str, NDArray[np.float64]]
    skipped: list[str]


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
    content: Mapping[str, NDArray[np.float64]] | None = None,
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
    content
        Probabilities of music, speech and other sound of the same windows [shape=(n, 3)].
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
        confusion=tuple(_confusion(clips, content, unknown_below)) if content else (),
    )


def _confusion(
    clips: Mapping[str, Probabilities],
    content: Mapping[str, NDArray[np.float64]],
    unknown_below: float,
) -> Iterator[ContentConfusion]:
    from training.networks.content_file import GENRE_FROM

    folders: dict[str, list[str]] = {}
    for name in clips:
        folder, slash, _ = name.partition("/")
        folders.setdefault(folder if slash else "", []).append(name)
    for folder, names in sorted(folders.items()):
        kinds = np.concatenate([content[name] for name in names])
        labelled = np.concatenate([clips[name].max(axis=1) for name in names]) >= unknown_below
        music, speech, other = (kinds >= 0.5).mean(axis=0).tolist()
        as_music = labelled & (kinds[:, 0] >= GENRE_FROM)
        yield ContentConfusion(
            *(folder, len(names), len(kinds), music, speech, other),
            labelled=float(labelled.mean()),
            labelled_as_music=float(as_music.mean()),
        )


def extract_clips(folder: Path, feature_set: str) -> HeardClips:
    """Extract the windows of all audio below a folder, and what content says of them."""
    from features.feature_sets import CONTENT_SET, WINDOW_SECONDS
    from training.data.audio_folders import audio_below
    from training.data.extraction import extract_file
    from training.networks.content_file import read_head

    weights, bias = read_head()
    heard = HeardClips({}, {}, [])
    for file in audio_below(folder):
        result, embedded = (
            extract_file(file, name, WINDOW_SECONDS) for name in (feature_set, CONTENT_SET)
        )
        if error := result.error or embedded.error:
            heard.skipped.append(f"{file.path}: {error}")
            continue
        heard.features[file.track] = np.array([row.values for row in result.rows], np.float32)
        logits = np.array([row.values for row in embedded.rows]) @ weights + bias
        heard.content[file.track] = 1 / (1 + np.exp(-logits))
    return heard
