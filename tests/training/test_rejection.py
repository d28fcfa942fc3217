from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import make_dataset
from training.errors import DataError
from training.evaluation.rejection import (
    extract_clips,
    hear_other_sounds,
    new_artists,
    reject_curve,
)


def test_a_curve_says_what_each_limit_leaves() -> None:
    p = np.array([[0.95, 0.05], [0.6, 0.4], [0.45, 0.55], [0.2, 0.8]])
    points = {point.limit: point for point in reject_curve([(np.array([0, 1, 1, 1]), p)])}
    assert points[0.0].coverage == 1.0
    assert points[0.0].accuracy == 0.75
    assert (points[0.7].coverage, points[0.7].accuracy) == (0.5, 1.0)
    assert 0.9 in points


def test_tracks_of_known_and_of_unnamed_artists_are_left_out() -> None:
    data = make_dataset(tracks=1)
    tracks = list(data.track_rows)
    artists = {tracks[0]: "known", "fitted": "known", tracks[1]: "new", tracks[2]: "new"}
    right = np.array([False, True, False] + [False] * 7)
    found = new_artists(data, right, artists, frozenset({"fitted"}))
    assert (found.tracks, found.artists, found.known, found.accuracy) == (2, 1, 8, 0.5)
    with pytest.raises(DataError, match="does not know"):
        new_artists(data, right, {tracks[0]: "known", "fitted": "known"}, frozenset({"fitted"}))


def test_other_sounds_are_counted_by_clip_and_window() -> None:
    clips = {"hum": np.array([[0.9, 0.1], [0.5, 0.5]]), "bird": np.array([[0.5, 0.5]])}
    found = hear_other_sounds(clips, ("a", "b"), 0.6)
    assert (found.clips, found.windows, found.labels) == (2, 3, {"a": 1})
    assert found.clips_labelled == 0.5
    assert found.windows_labelled == pytest.approx(1 / 3)
    with pytest.raises(DataError, match=r"x\.wav: broken"):
        hear_other_sounds({}, ("a", "b"), 0.6, ["x.wav: broken"])


def test_clips_are_heard_by_window_and_broken_ones_named(
    tmp_path: Path, write_tone: Callable[[Path, float, float], None]
) -> None:
    write_tone(tmp_path / "hum.wav", 100.0, 7.0)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    clips, skipped = extract_clips(tmp_path, "seed-25")
    assert {name: rows.shape for name, rows in clips.items()} == {"hum.wav": (3, 25)}
    assert [text.split(": ")[0] for text in skipped] == [str(tmp_path / "broken.wav")]
