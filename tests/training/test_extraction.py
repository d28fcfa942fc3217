from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import features
from training.data.audio_folders import AudioFile, copies, find_audio
from training.data.extraction import (
    KEY_COLUMNS,
    PartialResults,
    check_output,
    extract_file,
    extract_files,
    pending,
    to_table,
    write_table,
)
from training.data.tables import load_table
from training.errors import DataError

Write = Callable[[Path, float, float], None]


@pytest.fixture
def folder(tmp_path: Path, write_tone: Write) -> Path:
    """Two genres in GTZAN's layout, one broken and one short file, one text."""
    root = tmp_path / "audio"
    write_tone(root / "genres" / "jazz" / "jazz.00001.wav", 440.0, 7.5)
    write_tone(root / "genres" / "rock" / "my song.flac", 220.0, 3.5)
    write_tone(root / "genres" / "rock" / "short.wav", 220.0, 0.5)
    (root / "genres" / "rock" / "broken.wav").write_bytes(b"RIFF....WAVEnothing")
    (root / "genres" / "rock" / "notes.txt").write_text("no audio", encoding="utf-8")
    return root


def test_folders_give_labels_and_gtzan_names(folder: Path) -> None:
    files, skipped = find_audio(folder)
    found = {file.track: file.label for file in files}
    assert found == {
        "jazz.00001": "jazz",
        "rock/broken": "rock",
        "rock/my song": "rock",
        "rock/short": "rock",
    }
    assert [file.path.name for file in skipped] == ["notes.txt"]


@pytest.mark.parametrize("layout", ["", "genres", "genres_original"])
def test_common_layouts_are_alike(tmp_path: Path, write_tone: Write, layout: str) -> None:
    for genre in ("jazz", "rock"):
        write_tone(tmp_path / layout / genre / f"{genre}.00000.wav", 440.0, 1.0)
    assert [file.track for file in find_audio(tmp_path)[0]] == ["jazz.00000", "rock.00000"]


def test_folders_without_audio_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        find_audio(tmp_path / "absent")
    with pytest.raises(DataError, match=r"holds no audio \(0 other files\)"):
        find_audio(tmp_path)
    (tmp_path / "jazz").mkdir()
    (tmp_path / "jazz" / "lyrics.txt").write_text("text", encoding="utf-8")
    with pytest.raises(DataError, match=r"holds no audio \(1 other files\)"):
        find_audio(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path: Path, write_tone: Write) -> None:
    for suffix in ("wav", "flac"):
        write_tone(tmp_path / "jazz" / f"song.{suffix}", 440.0, 1.0)
    with pytest.raises(DataError, match="both track 'jazz/song'"):
        find_audio(tmp_path)


def test_equal_bytes_are_copies(tmp_path: Path, write_tone: Write) -> None:
    for name, hertz in (("a", 440.0), ("b", 440.0), ("c", 441.0)):
        write_tone(tmp_path / "jazz" / f"{name}.wav", hertz, 1.0)
    assert copies(find_audio(tmp_path)[0]) == [("jazz/a", "jazz/b")]


def test_values_are_those_of_the_service(folder: Path) -> None:
    path = folder / "genres" / "jazz" / "jazz.00001.wav"
    result = extract_file(AudioFile(path, "jazz.00001", "jazz"), "seed-25", 3.0)
    recipe = features.feature_set("seed-25")
    windows = list(features.split(features.read_file(path), recipe.window_seconds))
    assert [row.index for row in result.rows] == [0, 1, 2]
    assert [row.seconds for row in result.rows] == [3.0, 3.0, 1.5]
    for row, window in zip(result.rows, windows, strict=True):
        expected = recipe.extract(features.resample(window.audio, recipe.sample_rate))
        assert np.array_equal(np.array(row.values, np.float32), expected)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_many_processes_give_the_table_of_one(tmp_path: Path, folder: Path, suffix: str) -> None:
    files, _ = find_audio(folder)
    results = list(extract_files(files, "seed-25", 3.0, processes=2))
    table, skipped = to_table(results, "seed-25")
    alone, _ = to_table([extract_file(file, "seed-25", 3.0) for file in files], "seed-25")
    pd.testing.assert_frame_equal(table, alone)
    assert {str(file.path) for file in skipped} == {"rock/broken", "rock/short"}
    assert list(table.columns[: len(KEY_COLUMNS)]) == list(KEY_COLUMNS)
    path = tmp_path / f"table{suffix}"
    write_table(table, path)
    read = load_table(path, "seed-25", ("jazz", "rock"))
    assert np.array_equal(read.X, table[list(read.feature_names)].to_numpy())
    assert read.tracks.tolist() == ["jazz.00001"] * 3 + ["rock/my song"]


def test_a_stopped_run_goes_on(tmp_path: Path, folder: Path) -> None:
    files, _ = find_audio(folder)
    partial = PartialResults(tmp_path / "table.csv.partial")
    for file in files[:2]:
        partial.append(extract_file(file, "seed-25", 3.0))
    with partial.path.open("ab") as stream:
        stream.write(b'{"recipe": "seed-25 3 s", "tra')
    todo, done = pending(files, partial.load(), "seed-25", 3.0)
    assert todo == files[2:]
    assert [result.track for result in done] == [file.track for file in files[:2]]
    partial.append(extract_file(files[2], "seed-25", 3.0))
    assert len(partial.load()) == 3


def test_a_foreign_partial_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.partial"
    path.write_text("my notes\n", encoding="utf-8")
    with pytest.raises(DataError, match="delete it to begin anew"):
        PartialResults(path).load()


def test_results_of_another_recipe_or_file_are_not_reused(tmp_path: Path, folder: Path) -> None:
    files, _ = find_audio(folder)
    done = [extract_file(file, "seed-25", 3.0) for file in files]
    assert pending(files, done, "librosa-52", 3.0)[0] == files
    assert pending(files, done, "seed-25", 5.0)[0] == files
    files[0].path.write_bytes(files[0].path.read_bytes() + b"more")
    assert pending(files, done, "seed-25", 3.0)[0] == files[:1]


def test_nothing_to_extract_is_an_error(folder: Path) -> None:
    broken = AudioFile(folder / "genres" / "rock" / "broken.wav", "rock/broken", "rock")
    with pytest.raises(DataError, match=r"none of 1 files could be extracted \(rock/broken"):
        to_table([extract_file(broken, "seed-25", 3.0)], "seed-25")


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write table"):
        check_output(tmp_path / "table.xlsx")
    with pytest.raises(DataError, match="make it first"):
        check_output(tmp_path / "absent" / "table.csv")
