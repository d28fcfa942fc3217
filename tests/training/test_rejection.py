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
    (tmp_path / "kind").mkdir()
    write_tone(tmp_path / "kind" / "beep.wav", 900.0, 3.0)
    clips = extract_clips(tmp_path, "seed-25")
    shapes = {name: rows.shape for name, rows in clips.features.items()}
    assert shapes == {"hum.wav": (3, 25), "kind/beep.wav": (1, 25)}
    assert {name: rows.shape for name, rows in clips.content.items()} == {
        "hum.wav": (3, 3),
        "kind/beep.wav": (1, 3),
    }
    assert clips.content["kind/beep.wav"][0].argmax() == 2, "a tone is other sound"
    assert [text.split(": ")[0] for text in clips.skipped] == [str(tmp_path / "broken.wav")]


def test_content_is_confused_by_folder() -> None:
    clips = {
        "a/1": np.array([[0.9, 0.1], [0.5, 0.5]]),
        "a/2": np.array([[0.9, 0.1]]),
        "x": np.array([[0.7, 0.3]]),
    }
    content = {
        "a/1": np.array([[0.9, 0.1, 0.0], [0.6, 0.6, 0.2]]),
        "a/2": np.array([[0.6, 0.7, 0.9]]),
        "x": np.array([[0.1, 0.2, 0.9]]),
    }
    loose, kind = hear_other_sounds(clips, ("a", "b"), 0.6, (), content).confusion
    assert (loose.folder, loose.clips, loose.windows) == ("", 1, 1)
    assert (loose.music, loose.other, loose.labelled, loose.labelled_as_music) == (0, 1, 1, 0)
    assert (kind.folder, kind.clips, kind.windows) == ("a", 2, 3)
    assert (kind.music, kind.speech, kind.other) == pytest.approx((1, 2 / 3, 1 / 3))
    assert (kind.labelled, kind.labelled_as_music) == pytest.approx((2 / 3, 1 / 3))
