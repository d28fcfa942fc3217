from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from schemas.errors import ModelError
from tests.training.conftest import make_dataset
from training.data.datasets import Dataset
from training.data.splits import random_split
from training.errors import SplitError
from training.evaluation import plots, report
from training.evaluation.onnx_evaluation import (
    OnnxModel,
    check_unseen,
    evaluate,
    load_model,
    parse_model,
    permutation_losses,
)
from training.models.fitting import fit, to_file


@pytest.fixture(scope="module")
def windows() -> Dataset:
    return make_dataset(windows=3, noise=2.0)


@pytest.fixture(scope="module")
def model(windows: Dataset) -> OnnxModel:
    fitted = fit("extra-trees", windows, random_split(windows, 0), 0)
    return parse_model(to_file(fitted, "2026-01-01", {}), "test")


def test_tracks_are_voted_from_windows(windows: Dataset, model: OnnxModel) -> None:
    split = random_split(windows, 0)
    result = evaluate(model, windows, split.test, split.name, 0)
    assert result.by_window.count == 3 * result.by_track.count == 3 * len(split.test)
    assert result.by_track.accuracy > result.by_window.accuracy
    assert len(result.importances) == 25
    assert result == evaluate(model, windows, split.test, split.name, 0)


def test_seen_tracks_are_refused(windows: Dataset, model: OnnxModel) -> None:
    check_unseen(model, windows, random_split(windows, 0).test)
    with pytest.raises(SplitError, match=r"was fitted to \d+ of 24 test tracks"):
        check_unseen(model, windows, random_split(windows, 1).test)


def test_copies_of_seen_tracks_are_refused(windows: Dataset, model: OnnxModel) -> None:
    split = random_split(windows, 0)
    seen, unseen = min(split.train), min(split.test)
    X = windows.X.copy()
    X[windows.track_rows[unseen]] = X[windows.track_rows[seen]]
    with pytest.raises(SplitError, match=f"fitted to 1 of 24 test tracks .{unseen}"):
        check_unseen(model, replace(windows, X=X), split.test)


def test_a_model_that_hides_its_tracks_is_remarked(windows: Dataset, model: OnnxModel) -> None:
    silent = msgspec.structs.replace(model, training_tracks=None)
    check_unseen(silent, windows, random_split(windows, 1).test)
    result = evaluate(silent, windows, random_split(windows, 1).test, "other", 0)
    assert "leaks cannot be ruled out" in result.remarks[-1]


def test_only_features_that_matter_lose_accuracy(windows: Dataset) -> None:
    def by_first_feature(X: np.ndarray) -> np.ndarray:
        return np.stack([X[:, 0] <= 0, X[:, 0] > 0], axis=1).astype(float)

    rows = replace(windows, y=by_first_feature(windows.X).argmax(axis=1))
    losses = permutation_losses(by_first_feature, rows, 0).mean(axis=1)
    assert losses[0] > 0.3
    assert not losses[1:].any()


def test_the_report_stands_alone(tmp_path: Path, windows: Dataset, model: OnnxModel) -> None:
    split = random_split(windows, 0)
    result = evaluate(model, windows, split.test, split.name, 0)
    report.write(tmp_path, report.page("<test>", report.evaluation_sections(result)), result)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>&lt;test&gt;</h1>" in html
    assert html.count('src="data:image/png;base64,') == 4
    assert "http" not in html
    figures = msgspec.json.decode((tmp_path / "report.json").read_bytes())
    assert figures["by_track"]["accuracy"] == result.by_track.accuracy
    assert 0 <= figures["by_track"]["ece"] <= 1


def test_a_learning_curve_shows_both_sides() -> None:
    history = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "accuracy": [0.1, 0.5]}
    first, second = plots.learning_curve(history).axes
    assert [line.get_label() for line in first.lines] == ["fitted rows", "watched rows"]
    assert [line.get_label() for line in second.lines] == ["fitted rows"]


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        load_model(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no model", encoding="utf-8")
    with pytest.raises(ModelError, match="no ONNX file"):
        load_model(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelError, match="has no metadata"):
        load_model(tmp_path / "empty.onnx")
