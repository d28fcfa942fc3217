"""The parts of a file: the same as the services find, and as people and programs read them."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from schemas import GenreSegment
from schemas.errors import AudioTooShort, CorruptAudio, SettingsError
from services.commands.classify import ClassifyRequest, classify_segments, create_file_classifier
from services.console.parts import CsvWriter, JsonWriter, LabelWriter, TableWriter
from services.settings import load_settings
from tests.broker.harness import music

SETTINGS = load_settings(model="extra-trees-seed-25")


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write music, silence and music again: 30 s, 21 s and 28.5 s."""
    path = tmp_path_factory.mktemp("audio") / "show.flac"
    quiet = np.zeros(21 * 22_050, np.float32)
    soundfile.write(path, np.concatenate([music(30.0), quiet, music(28.5, seed=4)]), 22_050)
    return path


@pytest.fixture(scope="module")
def segments(show: Path) -> list[GenreSegment]:
    return list(create_file_classifier(SETTINGS).segments(show))


def test_silence_divides_a_file(segments: list[GenreSegment]) -> None:
    spans = [(s.start_seconds, s.end_seconds) for s in segments if s.label == "silence"]
    assert spans == [(30.0, 51.0)]
    assert (segments[0].start_seconds, segments[-1].end_seconds) == (0.0, 79.5)
    assert [s.final for s in segments] == [False] * (len(segments) - 1) + [True]
    assert all(s.began_at is None for s in segments)


def test_predictions_of_a_file_are_as_before(show: Path) -> None:
    classifier = create_file_classifier(SETTINGS)
    predictions = list(classifier.predictions(show))
    assert [p.final for p in predictions] == [False] * 26 + [True]
    assert classifier.classify(show) == predictions[-1]
    assert all(p.now for p in predictions)


def test_programs_read_json_and_csv(segments: list[GenreSegment], show: Path) -> None:
    lines, rows = io.StringIO(), io.StringIO()
    for writer in (JsonWriter(lines), CsvWriter(rows)):
        for segment in segments:
            writer.write(show, segment)
    objects = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(o["label"], o["windows"], o["model"]) for o in objects] == [
        (s.label, s.windows, "extra-trees-seed-25") for s in segments
    ]
    found = list(csv.DictReader(io.StringIO(rows.getvalue())))
    assert [(row["file"], float(row["start_seconds"]), row["label"]) for row in found] == [
        (str(show), s.start_seconds, s.label) for s in segments
    ]


def test_audacity_reads_begin_end_and_label(segments: list[GenreSegment], show: Path) -> None:
    output = io.StringIO()
    for segment in segments:
        LabelWriter(output).write(show, segment)
    lines = [line.split("\t") for line in output.getvalue().splitlines()]
    assert ["30.000000", "51.000000", "silence"] in lines
    assert all(len(line) == 3 for line in lines)


def test_people_read_a_table(segments: list[GenreSegment], show: Path) -> None:
    output = io.StringIO()
    table = TableWriter(output)
    table.begin(show)
    for segment in segments:
        table.write(show, segment)
    name, head, *rows = output.getvalue().splitlines()
    assert name == str(show)
    assert head.split() == ["from", "to", "length", "label", "sure"]
    assert ["00:30", "00:51", "00:21", "silence", "100%", "█" * 20] in [r.split() for r in rows]


def test_labels_are_written_as_the_parts_are_printed(
    show: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    request = ClassifyRequest([show], as_csv=True, labels=labels)
    assert classify_segments(SETTINGS, request) == 0
    printed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line.split("\t")[2] for line in labels.read_text().splitlines()] == [
        row["label"] for row in printed
    ]


def test_a_file_that_cannot_be_read_is_reported_and_the_others_go_on(
    show: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no audio")
    assert classify_segments(SETTINGS, ClassifyRequest([broken, show], json_lines=True)) == 1
    captured = capsys.readouterr()
    assert f"{broken}: " in captured.err
    assert len(captured.out.splitlines()) >= 3


def test_labels_are_of_one_file(show: Path, tmp_path: Path) -> None:
    request = ClassifyRequest([show, show], labels=tmp_path / "labels.txt")
    with pytest.raises(SettingsError, match="of one file, but there are 2"):
        classify_segments(SETTINGS, request)


@pytest.mark.parametrize(("seconds", "error"), [(0.5, AudioTooShort), (0, CorruptAudio)])
def test_a_file_without_a_window_has_no_parts(
    tmp_path: Path, seconds: float, error: type[Exception]
) -> None:
    soundfile.write(tmp_path / "short.wav", music(seconds), 22_050)
    with pytest.raises(error):
        list(create_file_classifier(SETTINGS).segments(tmp_path / "short.wav"))


def test_now_and_change_seconds_are_those_of_the_settings(show: Path) -> None:
    slow = load_settings(model="extra-trees-seed-25", now_seconds=90.0, change_seconds=30.0)
    labels = {s.label for s in create_file_classifier(slow).segments(show)}
    assert "silence" not in labels
