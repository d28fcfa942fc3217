from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import make_dataset
from training.data.artists import read_artists, row_weights
from training.errors import DataError


def test_artists_are_read_from_the_index(tmp_path: Path) -> None:
    index = tmp_path / "index.txt"
    index.write_text(
        "## comment\nblues.00000.wav ::: John Lee Hooker ::: Bourbon\n"
        "blues.00001.wav ::: john lee hooker ::: \nblues.00002.wav ::: ::: \n",
        encoding="utf-8",
    )
    assert read_artists(index) == {
        "blues.00000": "john lee hooker",
        "blues.00001": "john lee hooker",
    }


def test_a_list_without_artists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no list of artists"):
        read_artists(tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(DataError, match="names no artist"):
        read_artists(tmp_path / "empty.txt")


def test_an_artist_counts_by_the_root_of_their_tracks() -> None:
    data = make_dataset(windows=2)
    artists = {f"blues.{i:05d}": "hooker" for i in range(4)}
    weights = row_weights(data, artists)
    hooker = np.isin(data.tracks, list(artists))
    assert weights[hooker].sum() == pytest.approx(2.0)
    assert np.unique(weights[hooker]).tolist() == [0.25]
    assert np.unique(weights[~hooker]).tolist() == [0.5]
