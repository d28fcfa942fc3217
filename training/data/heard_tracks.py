"""What `musicnn-200` hears of GTZAN: rows of all tracks, and windows of the audio at hand.

The embeddings that are public hold all tracks of the ten genres, but each row is a mean of two
neighbouring windows. Windows of audio are what the services hear, but of four genres there is
little. A head is fitted to both, and scored on both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import feature_set
from schemas import GENRES
from training.data.datasets import Dataset, join
from training.errors import DataError

FEATURE_SET: Final = "musicnn-200"
EMBEDDINGS: Final = Path("embeddings") / "gtzan_musicnn_six_seconds.npz"
#: Folders of audio in the data folder, a folder a genre in each.
AUDIO_FOLDERS: Final = ("audio", "lossless", "audio_16k", "excerpts")
#: With fewer windows of audio than this, only an excerpt of a track is at hand.
WHOLE_TRACK_WINDOWS: Final = 5
#: How often the only track of an artist is repeated, where artists are weighed.
ONCE_ALONE: Final = 10


@dataclass(frozen=True, slots=True)
class HeardTracks:
    """The same tracks, heard in two ways.

    Attributes
    ----------
    pairs
        Five rows a track, each the mean of two windows.
    windows
        Windows of 3 s, of the tracks whose audio is at hand.
    artists
        Artist by track, where known.
    """

    pairs: Dataset
    windows: Dataset
    artists: Mapping[str, str]

    def of_tracks(self, tracks: frozenset[str]) -> "HeardTracks":
        """Return what is heard of these tracks."""
        return replace(
            self, pairs=self.pairs.of_tracks(tracks), windows=self.windows.of_tracks(tracks)
        )

    @property
    def tracks(self) -> frozenset[str]:
        """All tracks."""
        return frozenset(self.pairs.track_rows) | frozenset(self.windows.track_rows)

    def groups(self, tracks: Sequence[str]) -> NDArray[np.str_]:
        """Name the artist of each track; tracks of a genre without a known one share one."""
        return np.array([self.artists.get(t, f"{t.split('.')[0]}, unknown") for t in tracks])


#: How the rows of a fit are put together.
Rows = Callable[[HeardTracks], Dataset]


def read_pairs(path: Path, tracks: frozenset[str], feature_set_name: str = FEATURE_SET) -> Dataset:
    """Read the embeddings of these tracks; the genre is the first part of a track's name.

    They are of the network in float32, whatever feature set they are to stand for.

    Raises
    ------
    DataError
        The file is missing, or has not the arrays ``track`` (T,) and ``embedding`` (T, R, 200).
    """
    try:
        with np.load(path) as arrays:
            names, values = arrays["track"], arrays["embedding"]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"no embeddings in {path} ({error}): see README of the data") from error
    recipe = feature_set(feature_set_name)
    if values.ndim != 3 or values.shape[::2] != (len(names), len(recipe.names)):
        raise DataError(f"{path} has embeddings {values.shape}: needed are ({len(names)}, R, 200)")
    genres = [GENRES.index(str(name).split(".")[0]) for name in names]
    data = Dataset(
        name=path.name,
        feature_set=recipe.name,
        feature_names=recipe.names,
        labels=GENRES,
        X=values.reshape(-1, values.shape[2]).astype(np.float32),
        y=np.repeat(np.array(genres, np.int64), values.shape[1]),
        tracks=np.repeat(names, values.shape[1]),
    )
    return data.of_tracks(tracks)


def pairs_alone(heard: HeardTracks) -> Dataset:
    """Return the rows that all tracks have."""
    return heard.pairs


def all_rows(heard: HeardTracks) -> Dataset:
    """Return pairs and windows as they are."""
    return join([heard.pairs, heard.windows])


def even_rows(heard: HeardTracks) -> Dataset:
    """Return pairs and windows; pairs without windows three times, to count as much."""
    whole = whole_tracks(heard.windows)
    alone = heard.pairs.of_tracks(frozenset(heard.pairs.track_rows) - whole)
    return join([heard.pairs, heard.windows, alone, alone])


def track_means(heard: HeardTracks) -> Dataset:
    """Return one row a track, the mean of all that is heard of it."""
    data = all_rows(heard)
    rows = list(data.track_rows.values())
    return replace(
        data,
        X=np.array([data.X[r].mean(axis=0) for r in rows]),
        y=data.y[[r[0] for r in rows]],
        tracks=np.array(list(data.track_rows)),
    )


def rows_and_means(heard: HeardTracks) -> Dataset:
    """Return `even_rows`, and as many rows of the tracks' means.

    Windows of a track vote, so the scatter within a track counts less than that between tracks.
    """
    rows, means = even_rows(heard), track_means(heard)
    return join([rows, *[means] * max(1, round(len(rows) / len(means)))])


def pairs_by_artist(heard: HeardTracks) -> Dataset:
    """Return pairs so often that an artist counts by the root of their number of tracks."""
    return _by_artist(heard, heard.pairs)


def means_by_artist(heard: HeardTracks) -> Dataset:
    """Return the tracks' means so often that an artist counts likewise."""
    return _by_artist(heard, track_means(heard))


def _by_artist(heard: HeardTracks, data: Dataset) -> Dataset:
    tracks = list(data.track_rows)
    _, artist, counts = np.unique(heard.groups(tracks), return_inverse=True, return_counts=True)
    often = np.rint(ONCE_ALONE / np.sqrt(counts[artist])).astype(int)
    repeats = dict(zip(tracks, often.tolist(), strict=True))
    return data.rows(np.repeat(np.arange(len(data)), [repeats[t] for t in data.tracks.tolist()]))


def whole_tracks(windows: Dataset) -> frozenset[str]:
    """Return the tracks of which more than an excerpt is at hand."""
    rows = windows.track_rows
    return frozenset(track for track in rows if len(rows[track]) >= WHOLE_TRACK_WINDOWS)
