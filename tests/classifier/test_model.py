from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from features import feature_set
from schemas import GENRES, ModelMetadata
from schemas.errors import ModelError
from services.classifier.model import Model, load_model, require_feature_set
from services.classifier.row_independence import rows_are_independent
from services.settings import model_path

NAMES = feature_set("seed-25").names
METADATA = ModelMetadata(
    name="tiny",
    version="1.0.0",
    feature_set="seed-25",
    feature_names=NAMES,
    labels=GENRES,
    training_data="none",
    split="none",
    metrics={},
    created="2026-11-22",
)


def tiny_model(
    path: Path,
    *,
    width: int = len(NAMES),
    classes: int = len(GENRES),
    output: str = "probabilities",
    softmax: bool = True,
    rows: str | int = "n",
    change: Callable[[dict[str, str]], object] = lambda _: None,
) -> Path:
    """Write a linear model with a softmax, or one that is wrong in one way."""
    weights = np.random.default_rng(0).standard_normal((width, classes)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
        helper.make_node("Softmax" if softmax else "Identity", ["logits"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [rows, width])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [rows, classes])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    props = METADATA.to_props()
    change(props)
    helper.set_model_props(model, props)
    onnx.save(model, path)
    return path


def test_a_model_gives_one_row_of_probabilities_a_window(tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "tiny.onnx"))
    assert model.metadata == METADATA
    rows = model.probabilities(np.eye(3, len(NAMES), dtype=np.float32))
    assert rows.shape == (3, 10)
    assert rows.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"width": 24}, r"its graph takes features tensor\(float\) \['n', 24\]"),
        ({"classes": 9}, r"shape \(2, 9\)"),
        ({"output": "label"}, "its graph gives label"),
        ({"rows": 1}, "its graph takes"),
        ({"change": lambda props: props.update(feature_set="mfcc-13")}, "'mfcc-13'"),
        ({"change": lambda props: props.update(feature_names='["a"]')}, "1 feature names"),
        ({"change": lambda props: props.update(labels="[]")}, "labels"),
        ({"change": lambda props: props.update(metrics="high")}, "does not parse"),
        ({"change": lambda props: props.pop("labels")}, "no metadata 'labels'"),
    ],
    ids=["width", "classes", "output", "batch", "set", "names", "labels", "metrics", "missing"],
)
def test_a_model_that_does_not_fit_is_refused_in_words(
    tmp_path: Path, fault: dict[str, object], reason: str
) -> None:
    path = tiny_model(tmp_path / "bad.onnx", **fault)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=f"bad.onnx: .*{reason}"):
        load_model(path)


def test_outputs_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "logits.onnx", softmax=False)
    with pytest.raises(ModelError, match="sum to 1"):
        load_model(path)


def test_feature_sets_of_the_settings_must_hold_that_of_the_model() -> None:
    model = load_model(model_path("extra-trees-seed-25"))
    require_feature_set(model, ())
    require_feature_set(model, ("librosa-52", "seed-25"))
    with pytest.raises(ModelError, match="needs feature set seed-25"):
        require_feature_set(model, ("librosa-52",))


SHIPPED = sorted(model_path("any").parent.glob("*.onnx"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_models_load_and_have_a_card(path: Path) -> None:
    model = load_model(path)
    assert model.metadata.name == path.stem
    assert path.with_suffix(".md").is_file()
    assert path.stat().st_size < 5_000_000


def test_there_are_shipped_models() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_model_gives_the_same_bits_in_a_batch(path: Path) -> None:
    assert rows_are_independent(load_model(path))


class Drifting(Model):
    """A model whose answers depend on the company that a window is in."""

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return super().probabilities(features) * np.float32(1 + 1e-6 * (len(features) > 3))


def test_one_whose_bits_drift_in_a_batch_is_noticed() -> None:
    model = load_model(model_path("extra-trees-seed-25"))
    assert not rows_are_independent(Drifting(model.metadata, model.session))
