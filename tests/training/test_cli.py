import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from schemas.errors import GenrestreamError
from tests.training.conftest import make_dataset, to_frame
from training import command_line as cli
from training.errors import DataError, MissingExtraError, SplitError
from training.models.estimators import ESTIMATORS

COMMANDS = ("extract", "spectrogram", "train", "evaluate", "study", "train-shipped")
Write = Callable[[Path, float, float], None]


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    cli.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def fail(expected: type[GenrestreamError], *arguments: object) -> str:
    """Run a command that must end in one line for the user."""
    result = invoke(*arguments)
    assert isinstance(result.exception, expected), (result.output, result.exception)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_commands_are_there() -> None:
    output = succeed("--help").output
    for command in COMMANDS:
        assert command in output


def test_help_and_docs_name_every_estimator() -> None:
    text = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
    described = " ".join(text.partition("- `train` knows ")[2].partition("`--search`")[0].split())
    shown = re.sub(r"-\s+", "-", succeed("train", "--help").output)
    for name in ESTIMATORS:
        assert f"`{name}`" in described
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", shown), name


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, typer; from training.command_line import register; register(typer.Typer()); "
        "print([m for m in ('sklearn', 'pandas', 'keras', 'matplotlib', 'librosa', 'onnx') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "[]"


#: What a command needs that does without the others, such as TensorFlow.
LACKS = {"extract": "pandas", "spectrogram": "matplotlib"}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_extra_a_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    there, lacks = importlib.util.find_spec, LACKS.get(command, "keras")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == lacks else there(name)
    )
    needed: dict[str, tuple[object, ...]] = {
        "extract": (tmp_path,),
        "spectrogram": (tmp_path,),
        "train": ("svm", "--data", tmp_path),
        "evaluate": (tmp_path, "--data", tmp_path),
        "study": ("--data", tmp_path),
        "train-shipped": ("--data", tmp_path),
    }
    arguments = needed.get(command, ())
    message = fail(MissingExtraError, command, *arguments, "-o", tmp_path / "out")
    assert message == f"training needs {lacks}: pip install 'genrestream[training]'"


def test_extract_train_and_evaluate_own_genres(tmp_path: Path, write_tone: Write) -> None:
    """Folder-per-label audio in, ONNX head and report out."""
    for genre, hertz in (("low", 200.0), ("high", 2000.0)):
        for i in range(10):
            write_tone(tmp_path / "audio" / genre / f"{i}.wav", hertz + 5 * i, 4.5)
    (tmp_path / "audio" / "low" / "broken.wav").write_bytes(b"RIFF....WAVE")
    table, model = tmp_path / "table.csv", tmp_path / "head.onnx"
    extracted = succeed("extract", tmp_path / "audio", "--feature-set", "seed-25", "-o", table)
    assert "low/broken" in extracted.stderr
    assert "40 windows of 20 tracks" in extracted.stdout
    assert not table.with_name("table.csv.partial").exists()
    trained = succeed(
        *("train", "logistic", "--data", table, "--feature-set", "seed-25"),
        *("--labels", "low,high", "--search", "-o", model),
    )
    assert "100.0% of 4 test tracks" in trained.stdout
    assert "sha256: " in model.with_suffix(".md").read_text(encoding="utf-8")
    assert len(pd.read_csv(model.with_suffix(".search.csv"))) == 6
    report = tmp_path / "report"
    succeed("evaluate", model, "--data", table, "--split", "random", "-o", report)
    figures = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert figures["by_track"]["accuracy"] == 1.0
    assert "fitted to" in fail(
        SplitError, "evaluate", model, "--data", table, "--all", "-o", report
    )


def test_spectrograms_keep_names_and_report_broken_files(tmp_path: Path, write_tone: Write) -> None:
    for name in ("a.wav", "deep/a.flac"):
        write_tone(tmp_path / "audio" / name, 440.0, 2.0)
    (tmp_path / "audio" / "broken.mp3").write_bytes(b"nothing")
    result = succeed("spectrogram", tmp_path / "audio", "-o", tmp_path / "images")
    images = sorted(path.relative_to(tmp_path / "images") for path in tmp_path.rglob("*.png"))
    assert [path.as_posix() for path in images] == ["a.wav.png", "deep/a.flac.png"]
    assert "broken.mp3" in result.stderr
    assert (tmp_path / "images" / "a.wav.png").read_bytes().startswith(b"\x89PNG")


def test_spectrograms_of_nothing_are_refused(tmp_path: Path) -> None:
    assert "holds no audio" in fail(DataError, "spectrogram", tmp_path, "-o", tmp_path / "i")
    absent = tmp_path / "absent.wav"
    assert "no file or folder" in fail(DataError, "spectrogram", absent, "-o", tmp_path / "i")
    absent.write_bytes(b"nothing at all")
    assert "could be drawn" in fail(DataError, "spectrogram", absent, "-o", tmp_path / "i")


def test_wrong_requests_are_refused(tmp_path: Path, table: Path) -> None:
    common = ("--data", table, "--feature-set", "seed-25", "-o", tmp_path / "m.onnx")
    assert "choose mlp" in fail(DataError, "train", "svn", *common)
    assert "--patience is for mlp" in fail(DataError, "train", "svm", "--patience", "3", *common)
    assert "at least two" in fail(DataError, "train", "svm", "--labels", "jazz", *common)
    assert "folds 1 to 5" in fail(
        DataError, "train", "svm", "--split", "k-fold", "--fold", "6", *common
    )
    wrong = ("--data", table, "--feature-set", "seed-25", "-o", tmp_path / "model.pkl")
    assert "name an .onnx file" in fail(DataError, "train", "svm", *wrong)
    assert "no shipped model 'x'" in fail(
        DataError, "train-shipped", "--only", "x", "--data", tmp_path, "-o", tmp_path
    )


def test_a_split_that_names_absent_tracks_is_refused(tmp_path: Path, table: Path) -> None:
    for side in ("train", "valid", "test"):
        track = "rock/rock.00099.wav"
        (tmp_path / f"{side}_filtered.txt").write_text(track, encoding="utf-8")
    message = fail(
        SplitError,
        *("train", "svm", "--data", table, "--feature-set", "seed-25"),
        *("--split", "fault-filtered", "--splits", tmp_path, "-o", tmp_path / "m.onnx"),
    )
    assert "1 train tracks that table.csv lacks (rock.00099" in message


def test_a_table_of_one_class_is_refused(tmp_path: Path) -> None:
    data = make_dataset()
    path = tmp_path / "one.csv"
    to_frame(data.rows(np.flatnonzero(data.y == 0))).to_csv(path, index=False)
    message = fail(
        DataError,
        *("train", "svm", "--data", path, "--feature-set", "seed-25", "-o", tmp_path / "m.onnx"),
    )
    assert "has 1 of 10 genres (blues)" in message


def test_an_early_stopped_network_draws_its_learning_curve(tmp_path: Path) -> None:
    table = tmp_path / "noise.csv"
    to_frame(make_dataset(noise=50.0)).to_csv(table, index=False)  # nothing to learn: stops soon
    model = tmp_path / "mlp.onnx"
    succeed(
        *("train", "mlp", "--data", table, "--feature-set", "seed-25"),
        *("--patience", "1", "-o", model),
    )
    assert model.with_suffix(".learning-curve.png").read_bytes().startswith(b"\x89PNG")
