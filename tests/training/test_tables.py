import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import GENRES
from tests.training.conftest import SEED_25, make_dataset, to_frame
from training.data.datasets import Dataset, check_trainable, join
from training.data.tables import load_table, track_id
from training.errors import DataError

Change = Callable[[pd.DataFrame], pd.DataFrame]

BAD_TABLES: dict[str, tuple[Change, str]] = {
    "missing feature": (lambda f: f.drop(columns="mfcc7"), "no column mfcc7 or mfcc7_mean"),
    "missing label": (lambda f: f.drop(columns="label"), "no column label"),
    "missing track": (lambda f: f.drop(columns="track"), "no column track or filename"),
    "NaN": (lambda f: f.assign(mfcc3=[np.nan, *f.mfcc3[1:]]), "row 1 has 'nan' in column mfcc3"),
    "infinite": (lambda f: f.assign(mfcc3=[np.inf, *f.mfcc3[1:]]), "has 'inf' in column mfcc3"),
    "beyond float32": (lambda f: f.assign(mfcc3=[1e300, *f.mfcc3[1:]]), "must be finite"),
    "text": (lambda f: f.assign(mfcc3=["loud", *f.mfcc3[1:]]), "has 'loud' in column mfcc3"),
    "unknown label": (lambda f: f.assign(label=["polka", *f.label[1:]]), "row 1 has label 'polka'"),
    "missing label value": (lambda f: f.assign(label=[None, *f.label[1:]]), "row 1 has label"),
    "missing track value": (lambda f: f.assign(track=[None, *f.track[1:]]), "row 1 has no track"),
    "torn track": (lambda f: f.assign(label=["rock", *f.label[1:]]), "several labels (blues.00000"),
    "no rows": (lambda f: f.head(0), "has no rows"),
}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_reads_back_exactly(tmp_path: Path, dataset: Dataset, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    frame = to_frame(dataset)
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    read = load_table(path, "seed-25")
    assert np.array_equal(read.X, dataset.X)
    assert np.array_equal(read.y, dataset.y)
    assert np.array_equal(read.tracks, dataset.tracks)


def test_the_public_tables_column_names_are_understood(tmp_path: Path, dataset: Dataset) -> None:
    frame = to_frame(dataset).rename(columns={name: f"{name}_mean" for name in SEED_25})
    frame = frame.rename(columns={"track": "filename"})
    frame["filename"] += ".wav"
    frame.to_csv(tmp_path / "public.csv", index=False)
    read = load_table(tmp_path / "public.csv", "seed-25")
    assert np.array_equal(read.X, dataset.X)
    assert np.array_equal(read.tracks, dataset.tracks)


@pytest.mark.parametrize(("change", "message"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_bad_table_is_one_clear_error(
    tmp_path: Path, dataset: Dataset, change: Change, message: str
) -> None:
    path = tmp_path / "bad.csv"
    dataset = join([dataset, dataset])
    change(to_frame(dataset).astype({"mfcc3": object})).to_csv(path, index=False)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_table(path, "seed-25")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table"):
        load_table(tmp_path / "absent.csv", "seed-25")
    with pytest.raises(DataError, match="genrestream extract"):
        load_table(tmp_path, "seed-25")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match="does not read as a table"):
        load_table(tmp_path / "empty.csv", "seed-25")
    (tmp_path / "text.parquet").write_text("no table", encoding="utf-8")
    with pytest.raises(DataError, match="does not read as a table"):
        load_table(tmp_path / "text.parquet", "seed-25")
    (tmp_path / "model.pkl").touch()
    with pytest.raises(DataError, match=r"use a \.csv or \.parquet"):
        load_table(tmp_path / "model.pkl", "seed-25")


def test_an_unknown_feature_set_is_refused(table: Path) -> None:
    with pytest.raises(DataError, match="choose seed-25"):
        load_table(table, "seed-26")


def test_one_class_cannot_be_trained_on(dataset: Dataset) -> None:
    jazz = dataset.rows(np.flatnonzero(dataset.y == GENRES.index("jazz")))
    with pytest.raises(DataError, match=r"has 1 of 10 genres \(jazz\)"):
        check_trainable(jazz, "the training side")


def test_identical_tracks_are_found_and_told() -> None:
    data = make_dataset(windows=2)
    data.X[2:4] = data.X[100:102]
    assert data.duplicates == (("blues.00001", "disco.00002"),) or len(data.duplicates) == 1
    first, second = data.duplicates[0]
    assert {first, second} == {str(data.tracks[2]), str(data.tracks[100])}
    recordings = dict(zip(data.tracks.tolist(), data.recordings.tolist(), strict=True))
    assert recordings[first] == recordings[second]
    assert any(f"{first} = {second}" in remark for remark in data.remarks())


def test_a_shared_window_alone_makes_no_duplicate() -> None:
    data = make_dataset(windows=2)
    data.X[2] = data.X[100]
    assert data.duplicates == ()


def test_the_broken_gtzan_track_is_told() -> None:
    data = make_dataset(tracks=60)
    assert any(remark.startswith("jazz.00054") for remark in data.remarks())


@pytest.mark.parametrize(
    ("name", "track"),
    [
        ("blues.00012.wav", "blues.00012"),
        ("blues.00012.2.wav", "blues.00012"),
        ("./blues_00012.wav", "blues.00012"),
        ("blues/blues.00012.au", "blues.00012"),
        ("polka/My song.v2.mp3", "polka/My song.v2"),
    ],
)
def test_a_track_has_one_name(name: str, track: str) -> None:
    assert track_id(name) == track


@pytest.mark.data
def test_the_public_tables_agree_and_hold_fourteen_pairs(data_folder: Path) -> None:
    thirty = load_table(data_folder / "tables/gtzan_features_30_sec.csv", "librosa-52")
    ten = load_table(data_folder / "tables/gtzan_features_10_sec.csv", "librosa-52")
    assert thirty.X.shape == (1000, 52)
    assert thirty.track_rows.keys() == ten.track_rows.keys()
    assert len(thirty.duplicates) == 14
    assert ("metal.00058", "rock.00016") in thirty.duplicates
