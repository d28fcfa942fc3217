"""The committed models: what they say of themselves, and, with the data, that it is true."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from features import CONTENT_SET, feature_set
from schemas import GENRES
from services.settings import load_settings
from training.data.audio_folders import find_audio
from training.data.datasets import Dataset, join
from training.data.extraction import extract_file, to_table
from training.data.splits import fault_filtered
from training.data.tables import load_table
from training.evaluation.onnx_evaluation import OnnxModel, load_model
from training.evaluation.scores import score_tracks
from training.models.export import predictor
from training.shipped import content_head, genre_head
from training.shipped.table_models import MAX_BYTES, SHIPPED, Shipped, make

MODELS = Path(__file__).parents[2] / "models"
#: Of the hand-crafted features.
BEST = next(shipped for shipped in SHIPPED if shipped.name == "discriminant-librosa-52")
every_model = pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)


def committed(shipped: Shipped) -> OnnxModel:
    return load_model(MODELS / f"{shipped.name}.onnx")


def rows(shipped: Shipped, data_folder: Path) -> Dataset:
    tables = [data_folder / "tables" / name for name in shipped.tables]
    return join([load_table(table, shipped.feature_set) for table in tables])


def test_every_onnx_file_has_its_recipe_and_every_recipe_its_file() -> None:
    names = [*(shipped.name for shipped in SHIPPED), *genre_head.NAMES, content_head.NAME]
    assert sorted(path.stem for path in MODELS.glob("*.onnx")) == sorted(names)
    assert sorted(path.stem for path in MODELS.glob("*.md")) == sorted(names)


def test_the_default_model_ships() -> None:
    assert load_settings().model_path.parent.samefile(MODELS)
    assert genre_head.NAMES[load_settings().model] == "musicnn-200-int8"


@pytest.mark.parametrize("name", genre_head.NAMES)
def test_the_heads_card_is_of_its_file(name: str) -> None:
    file = (MODELS / f"{name}.onnx").read_bytes()
    card = (MODELS / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^sha256: ([0-9a-f]{64})$", card, re.M) == [hashlib.sha256(file).hexdigest()]
    metadata = load_model(MODELS / f"{name}.onnx").metadata
    assert metadata.feature_set == genre_head.NAMES[name]
    assert metadata.labels == GENRES
    assert metadata.vote_sharpness > 0
    for figure in ("artist_folds_pairs_accuracy", "fault_filtered_valid_accuracy"):
        assert f"{metadata.metrics[figure]:.1%}" in card
    assert metadata.metrics["artist_folds_track_ece"] <= 0.05
    assert metadata.metrics["artist_folds_window_ece"] <= 0.07
    assert metadata.pooled_with == content_head.NAME
    assert metadata.metrics["pooled_fault_filtered_valid_accuracy"] >= 0.84
    gain = (
        metadata.metrics["pooled_artist_folds_windows_accuracy"]
        - metadata.metrics["artist_folds_windows_accuracy"]
    )
    assert f"The gain is {100 * gain:+.1f} ±" in card


def test_the_card_of_the_head_on_contents_embedding_is_of_its_file() -> None:
    file = (MODELS / f"{content_head.NAME}.onnx").read_bytes()
    card = (MODELS / f"{content_head.NAME}.md").read_text(encoding="utf-8")
    assert f"\nsha256: {hashlib.sha256(file).hexdigest()}\n" in card
    metadata = load_model(MODELS / f"{content_head.NAME}.onnx").metadata
    assert (metadata.feature_set, metadata.labels) == (CONTENT_SET, GENRES)
    assert not metadata.pooled_with
    assert f"{metadata.metrics['artist_folds_windows_accuracy']:.1%}" in card


def test_eight_bits_cost_the_head_no_fifth_of_a_point() -> None:
    float32, int8 = (
        load_model(MODELS / f"{name}.onnx").metadata.metrics["artist_folds_accuracy"]
        for name in genre_head.NAMES
    )
    assert int8 >= float32 - 0.002


@pytest.mark.data
@pytest.mark.parametrize("name", [*genre_head.NAMES, content_head.NAME])
def test_the_head_is_fitted_to_no_track_outside_of_train_and_valid(
    name: str, data_folder: Path
) -> None:
    model = load_model(MODELS / f"{name}.onnx")
    split = fault_filtered(data_folder / "splits")
    known = split.fitting - {"jazz.00054"}
    if name == content_head.NAME:  # to audio alone
        assert model.training_tracks
        assert len(model.training_tracks) == 556
        assert model.training_tracks < known
    else:
        assert model.training_tracks == known


@every_model
def test_the_card_is_of_the_file(shipped: Shipped) -> None:
    file = (MODELS / f"{shipped.name}.onnx").read_bytes()
    card = (MODELS / f"{shipped.name}.md").read_text(encoding="utf-8")
    assert len(file) <= MAX_BYTES
    assert re.findall(r"^sha256: ([0-9a-f]{64})$", card, re.M) == [hashlib.sha256(file).hexdigest()]
    metadata = committed(shipped).metadata
    assert metadata.name == shipped.name
    assert metadata.labels == GENRES
    assert metadata.feature_names == feature_set(shipped.feature_set).names
    assert f"{metadata.metrics['fault_filtered_accuracy']:.1%}" in card


@every_model
def test_answers_are_probabilities_for_any_number_of_rows(shipped: Shipped) -> None:
    model = committed(shipped)
    random = np.random.default_rng(0)
    X = random.normal(scale=100.0, size=(7, len(model.metadata.feature_names))).astype(np.float32)
    predict = predictor(model.file)
    probabilities = predict(X)
    assert probabilities.shape == (7, 10)
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert predict(X[:1]) == pytest.approx(probabilities[:1], abs=1e-6)


@pytest.mark.data
@every_model
def test_the_score_in_the_card_is_true_and_honest(shipped: Shipped, data_folder: Path) -> None:
    model, data = committed(shipped), rows(shipped, data_folder)
    split = fault_filtered(data_folder / "splits")
    assert model.training_tracks == split.train
    tested = data.of_tracks(split.test)
    scores = score_tracks(tested, predictor(model.file)(tested.X))
    assert scores.count == 290
    metrics = model.metadata.metrics
    assert scores.accuracy == pytest.approx(metrics["fault_filtered_accuracy"], abs=1e-4)
    assert scores.ece == pytest.approx(metrics["fault_filtered_ece"], abs=1e-4)


@pytest.mark.data
def test_the_best_model_reaches_its_aims(data_folder: Path) -> None:
    metrics = committed(BEST).metadata.metrics
    assert metrics["fault_filtered_accuracy"] >= 0.54
    assert metrics["fault_filtered_ece"] <= 0.08


@pytest.mark.data
def test_a_model_is_made_again(tmp_path: Path, data_folder: Path) -> None:
    """Byte for byte on one machine; on another its linear algebra may round otherwise."""
    shipped = BEST
    first, second = tmp_path / "first", tmp_path / "second"
    for output in (first, second):
        make(shipped, data_folder, output, committed(shipped).metadata.created)
    for suffix in (".onnx", ".md"):
        name = f"{shipped.name}{suffix}"
        assert (first / name).read_bytes() == (second / name).read_bytes()
    X = rows(shipped, data_folder).X
    made = predictor(load_model(first / f"{shipped.name}.onnx").file)(X)
    assert np.abs(made - predictor(committed(shipped).file)(X)).max() < 1e-5


@pytest.mark.data
def test_audio_agrees_with_the_table(data_folder: Path) -> None:
    """Of held-back tracks, windows of audio give mostly the label that the table's rows give."""
    shipped = BEST
    predict = predictor(committed(shipped).file)
    valid = fault_filtered(data_folder / "splits").valid
    files, _ = find_audio(data_folder / "gtzan" / "lossless")
    held_back = [file for file in files if file.track in valid]
    assert len(held_back) >= 10
    results = [extract_file(file, shipped.feature_set, 3.0) for file in held_back]
    table, _ = to_table(results, shipped.feature_set)
    names = list(feature_set(shipped.feature_set).names)
    windows = predict(table[names].to_numpy(np.float32))
    whole = rows(shipped, data_folder).of_tracks(frozenset(valid))
    agreeing = 0
    for file in held_back:
        heard = windows[(table["track"] == file.track).to_numpy()].mean(axis=0)
        stored = predict(whole.X[whole.track_rows[file.track]]).mean(axis=0)
        agreeing += int(heard.argmax() == stored.argmax())
    assert agreeing >= 0.7 * len(held_back)
