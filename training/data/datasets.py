"""The data set: feature vectors of windows or whole tracks, with genre and track of each row."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

Features = NDArray[np.float32]
Classes = NDArray[np.int64]
Rows = NDArray[np.int64]
Tracks = NDArray[np.str_]
Probabilities = NDArray[np.float64]

#: Tracks of the public GTZAN copies that are known to be broken.
BROKEN_TRACKS = {"jazz.00054": "its audio is corrupt in the public copies of GTZAN"}


@dataclass(frozen=True)
class Dataset:
    """Rows of features; several rows may belong to one track.

    Attributes
    ----------
    name
        Where the rows come from, for metadata and reports.
    feature_set
        Name of the recipe of the features.
    feature_names
        Names of the D features.
    labels
        Names of the K genres; ``y`` counts in their order.
    X
        Features [shape=(n, D), float32].
    y
        Genre of each row [shape=(n,), 0 <= y < K].
    tracks
        Track of each row [shape=(n,)].
    """

    name: str
    feature_set: str
    feature_names: tuple[str, ...]
    labels: tuple[str, ...]
    X: Features
    y: Classes
    tracks: Tracks

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, rows: Rows) -> "Dataset":
        """Return the data set of these rows alone."""
        return replace(self, X=self.X[rows], y=self.y[rows], tracks=self.tracks[rows])

    def of_tracks(self, tracks: frozenset[str]) -> "Dataset":
        """Return the rows of these tracks."""
        return self.rows(np.flatnonzero(np.isin(self.tracks, sorted(tracks))))

    @cached_property
    def track_rows(self) -> dict[str, Rows]:
        """Rows of each track, in the order of the tracks' names."""
        names, inverse = np.unique(self.tracks, return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        counts = np.bincount(inverse, minlength=len(names))
        parts = np.split(order, np.cumsum(counts)[:-1])
        return {str(name): rows for name, rows in zip(names, parts, strict=True)}

    @cached_property
    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """Groups of tracks with identical feature rows: copies of one recording."""
        by_content: dict[bytes, list[str]] = defaultdict(list)
        for track, rows in self.track_rows.items():
            by_content[self.X[rows].tobytes()].append(track)
        return tuple(tuple(group) for group in by_content.values() if len(group) > 1)

    @cached_property
    def recordings(self) -> Tracks:
        """Recording of each row [shape=(n,)]: the track, or the first of its duplicates."""
        first = {track: group[0] for group in self.duplicates for track in group}
        return np.array([first.get(track, track) for track in self.tracks.tolist()])

    def remarks(self) -> list[str]:
        """Tell what a user should know of these rows: duplicate and broken tracks."""
        copies = "; ".join(" = ".join(group) for group in self.duplicates)
        found = [f"identical rows, kept on one side of a split: {copies}"] if copies else []
        present = self.track_rows
        broken = [f"{name}: {why}" for name, why in BROKEN_TRACKS.items() if name in present]
        return found + broken


def join(parts: Sequence[Dataset]) -> Dataset:
    """Put the rows of several tables of the same features together."""
    first = parts[0]
    return replace(
        first,
        name=" + ".join(part.name for part in parts),
        X=np.concatenate([part.X for part in parts]),
        y=np.concatenate([part.y for part in parts]),
        tracks=np.concatenate([part.tracks for part in parts]),
    )


def check_trainable(data: Dataset, side: str) -> None:
    """Refuse rows that no classifier can be fitted to.

    Parameters
    ----------
    data
        The rows to fit.
    side
        What to call them in the error.

    Raises
    ------
    DataError
        A label has no row.
    """
    counts = np.bincount(data.y, minlength=len(data.labels))
    present = [label for label, n in zip(data.labels, counts, strict=True) if n]
    if len(present) == len(data.labels):
        return
    missing = [label for label in data.labels if label not in present]
    raise DataError(
        f"{side} of {data.name} has {len(present)} of {len(data.labels)} genres "
        f"({', '.join(present) or 'none'}): add rows of {', '.join(missing)}, "
        "or name your own genres by --labels (at least two)"
    )
