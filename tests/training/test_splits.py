from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import TRACKS_PER_GENRE, make_dataset
from training.data.datasets import Dataset
from training.data.splits import (
    Split,
    artist_folds,
    check,
    fault_filtered,
    k_folds,
    random_split,
    study_split,
)
from training.errors import SplitError


def copied() -> Dataset:
    """Two windows a track; the first two tracks are one recording."""
    data = make_dataset(windows=2)
    data.X[2:4] = data.X[0:2]
    return data


def simple_split(data: Dataset) -> Split:
    return random_split(data, 0)


def test_a_random_split_is_stratified_and_whole(dataset: Dataset) -> None:
    split = random_split(dataset, 3)
    check(split, dataset)
    assert split.train | split.test == dataset.track_rows.keys()
    test_counts = np.bincount(dataset.of_tracks(split.test).y)
    assert set(test_counts) <= {2, 3}
    assert split == random_split(dataset, 3)
    assert split.test != random_split(dataset, 4).test


def test_windows_and_copies_stay_together() -> None:
    data = copied()
    for seed in range(20):
        check(random_split(data, seed), data)
    for fold in k_folds(data, 4, 0):
        check(fold, data)


def test_folds_test_every_track_once(dataset: Dataset) -> None:
    folds = k_folds(dataset, 5, 0)
    tested = sorted(track for fold in folds for track in fold.test)
    assert tested == sorted(dataset.track_rows)


def test_a_genre_too_rare_to_divide_is_refused() -> None:
    with pytest.raises(SplitError, match="has 4 recordings, at least 5"):
        random_split(make_dataset(tracks=4), 0)


def test_more_folds_than_tracks_are_refused(dataset: Dataset) -> None:
    with pytest.raises(SplitError, match=f"choose 2 to {TRACKS_PER_GENRE}"):
        k_folds(dataset, TRACKS_PER_GENRE + 1, 0)


def test_a_track_on_two_sides_is_refused(dataset: Dataset) -> None:
    split = simple_split(dataset)
    leaking = replace(split, test=split.test | {min(split.train)})
    with pytest.raises(SplitError, match=r"leaks: blues.* on the sides train and test"):
        check(leaking, dataset)
    with pytest.raises(SplitError, match="train and valid"):
        check(replace(split, valid=frozenset({min(split.train)})), dataset)


def test_copies_on_two_sides_are_refused_but_in_the_study() -> None:
    data = copied()
    tracks = set(data.track_rows)
    leaking = Split("mine", frozenset(tracks - {"blues.00000"}), frozenset({"blues.00000"}))
    with pytest.raises(SplitError, match=r"blues\.00000 = blues\.00001"):
        check(leaking, data)
    check(replace(leaking, copies_apart=False), data)
    assert not study_split(data, 0).copies_apart


def test_absent_tracks_and_empty_sides_are_refused(dataset: Dataset) -> None:
    split = simple_split(dataset)
    with pytest.raises(SplitError, match=r"1 test tracks that synthetic.csv lacks \(rock.99999"):
        check(replace(split, test=split.test | {"rock.99999"}), dataset)
    with pytest.raises(SplitError, match="empty test side"):
        check(replace(split, test=frozenset()), dataset)


def test_missing_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"train_filtered\.txt: name the folder"):
        fault_filtered(tmp_path)


@pytest.mark.data
def test_the_fixed_splits_have_their_published_sizes(data_folder: Path) -> None:
    split = fault_filtered(data_folder / "splits")
    assert (len(split.train), len(split.valid), len(split.test)) == (443, 197, 290)
    folds = artist_folds(data_folder / "splits")
    assert sum(len(fold.test) for fold in folds) == 948
