"""Splits of tracks into sides, and the check that refuses those that leak.

A split speaks of tracks, never of rows, so the windows of a track stay together; copies of one
recording (`Dataset.duplicates`) stay together too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from training.data.datasets import Dataset
from training.data.tables import track_id
from training.errors import SplitError

#: Share of the study's test side.
TEST_SHARE: Final = 0.2
#: Of each genre, so that both sides of 80/20 get one.
MIN_RECORDINGS: Final = 5
N_ARTIST_FOLDS: Final = 3


@dataclass(frozen=True, slots=True)
class Split:
    """Track names by side.

    Attributes
    ----------
    name
        Which split, with seed or fold.
    train, valid, test
        Tracks to fit, to choose by, and to report on; ``valid`` may be empty.
    copies_apart
        Whether copies of a recording must be on one side; only the study's own split lets chance
        divide them, to measure what it measured.
    """

    name: str
    train: frozenset[str]
    test: frozenset[str]
    valid: frozenset[str] = frozenset()
    copies_apart: bool = True

    @property
    def fitting(self) -> frozenset[str]:
        """Tracks that a final model may be fitted to: all but the test side."""
        return self.train | self.valid


def random_split(data: Dataset, seed: int) -> Split:
    """Divide the recordings 80/20 at random, stratified by genre.

    Raises
    ------
    SplitError
        A genre has too few recordings for both sides.
    """
    from sklearn.model_selection import train_test_split

    recordings, first = np.unique(data.recordings, return_index=True)
    counts = np.bincount(data.y[first])
    if counts[counts > 0].min() < MIN_RECORDINGS:
        raise SplitError(
            f"a genre of {data.name} has {counts[counts > 0].min()} recordings, at least "
            f"{MIN_RECORDINGS} are needed to divide 80/20: add some"
        )
    train, test = train_test_split(
        recordings, test_size=TEST_SHARE, stratify=data.y[first], random_state=seed
    )
    return Split(f"random-80-20 seed {seed}", _tracks(data, train), _tracks(data, test))


def study_split(data: Dataset, seed: int) -> Split:
    """Divide the tracks 80/20 as the study did: neither stratified nor minding copies."""
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(sorted(data.track_rows), test_size=TEST_SHARE, random_state=seed)
    return Split(
        f"study's random 80/20 seed {seed}", frozenset(train), frozenset(test), copies_apart=False
    )


def k_folds(data: Dataset, k: int, seed: int) -> list[Split]:
    """Divide the recordings into `k` folds, stratified by genre."""
    from sklearn.model_selection import StratifiedKFold

    recordings, first = np.unique(data.recordings, return_index=True)
    _check_folds(data, k, np.bincount(data.y[first], minlength=len(data.labels)).min())
    folds = StratifiedKFold(k, shuffle=True, random_state=seed)
    return [
        Split(
            f"{k}-fold {i + 1} seed {seed}",
            _tracks(data, recordings[train]),
            _tracks(data, recordings[test]),
        )
        for i, (train, test) in enumerate(folds.split(recordings, data.y[first]))
    ]


def _check_folds(data: Dataset, k: int, smallest: int) -> None:
    if not 2 <= k <= smallest:
        raise SplitError(
            f"{k} folds of {data.name}: choose 2 to {smallest}, the tracks of its rarest genre"
        )


def _tracks(data: Dataset, recordings: np.ndarray) -> frozenset[str]:
    return frozenset(data.tracks[np.isin(data.recordings, recordings)].tolist())


def fault_filtered(folder: Path) -> Split:
    """Read the split without GTZAN's faults and shared artists (Kereliuk, Sturm, Larsen 2015).

    Parameters
    ----------
    folder
        Holds ``train_filtered.txt``, ``valid_filtered.txt`` and ``test_filtered.txt``.
    """
    train, valid, test = (
        _read_tracks(folder / f"{side}_filtered.txt") for side in ("train", "valid", "test")
    )
    return Split("fault-filtered", train, test, valid)


def artist_folds(folder: Path) -> list[Split]:
    """Read the three artist-separated folds of Foleiss and Tavares (2020).

    Parameters
    ----------
    folder
        Holds ``artist_3fold/f1_train.txt``, ``f1_test.txt`` and so on.
    """
    return [
        Split(
            f"artist-fold {fold}",
            _read_tracks(folder / "artist_3fold" / f"f{fold}_train.txt"),
            _read_tracks(folder / "artist_3fold" / f"f{fold}_test.txt"),
        )
        for fold in range(1, N_ARTIST_FOLDS + 1)
    ]


def _read_tracks(path: Path) -> frozenset[str]:
    """Read the first column of a list of files."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SplitError(
            f"the split needs {path}: name the folder of the split's lists by --splits"
        ) from error
    return frozenset(track_id(line.split("\t")[0]) for line in lines if line.strip())


def check(split: Split, data: Dataset) -> None:
    """Refuse a split that leaks or does not fit the data.

    Raises
    ------
    SplitError
        A side is empty, names a track that `data` does not have, or shares a track or a copy of a
        recording with another side.
    """
    sides = {"train": split.train, "valid": split.valid, "test": split.test}
    present = data.track_rows
    for side, tracks in sides.items():
        absent = sorted(tracks - present.keys())
        if absent:
            raise SplitError(
                f"{split.name} has {len(absent)} {side} tracks that {data.name} lacks "
                f"({', '.join(absent[:5])}, …): extract their audio, or use another split"
            )
        if not tracks and side != "valid":
            raise SplitError(f"{split.name} has an empty {side} side: add tracks to it")
    alone = [(track,) for track in present]
    _check_apart(split, sides, [*alone, *(data.duplicates if split.copies_apart else ())])


def _check_apart(
    split: Split, sides: dict[str, frozenset[str]], groups: list[tuple[str, ...]]
) -> None:
    for group in groups:
        found = [side for side, tracks in sides.items() if tracks & set(group)]
        if len(found) > 1:
            raise SplitError(
                f"{split.name} leaks: {' = '.join(group)} is on the sides {' and '.join(found)}; "
                "keep every recording on one side"
            )
