"""Weights by artist: a prolific one must not stand for a whole genre."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import Dataset
from training.data.tables import track_id
from training.errors import DataError

#: An artist of n tracks counts as n to this power: between n equal ones and one.
ARTIST_POWER: Final = 0.5


def read_artists(path: Path) -> dict[str, str]:
    """Read artists by track from Sturm's index of GTZAN (``track ::: artist ::: title``).

    Raises
    ------
    DataError
        The file is missing or names no artist.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"no list of artists {path}: one line a track, a ::: b") from error
    fields = [line.split(":::") for line in lines if not line.startswith("#")]
    artists = {track_id(f[0]): f[1].strip().lower() for f in fields if len(f) > 1 and f[1].strip()}
    if not artists:
        raise DataError(f"{path} names no artist: write lines such as blues.00000 ::: artist")
    return artists


def row_weights(data: Dataset, artists: Mapping[str, str]) -> NDArray[np.float64]:
    """Weigh rows so that an artist counts by the square root of their number of tracks.

    The rows of a track share its weight. A track without a known artist is an artist of its own.

    Returns
    -------
    Weights [shape=(n,)].
    """
    tracks_of: dict[str, list[str]] = defaultdict(list)
    for track in data.track_rows:
        tracks_of[artists.get(track, track)].append(track)
    weights = np.empty(len(data))
    for tracks in tracks_of.values():
        for track in tracks:
            rows = data.track_rows[track]
            weights[rows] = len(tracks) ** (ARTIST_POWER - 1) / len(rows)
    return weights
