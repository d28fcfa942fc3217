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
from services.classifier import trial
from services.classifier.model import Model, is_shipped, load_model, require_feature_set
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
        ({"change": lambda props: props.update(name="../x")}, "does not parse"),
        ({"change": lambda props: props.update(labels='["a", "\\u001b[31mb"]')}, "does not parse"),
        ({"change": lambda props: props.pop("labels")}, "no metadata 'labels'"),
    ],
    ids=[
        "width",
        "classes",
        "output",
        "batch",
        "set",
        "names",
        "labels",
        "metrics",
        "name",
        "label",
        "missing",
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_words(
    tmp_path: Path, fault: dict[str, object], reason: str
) -> None:
    path = tiny_model(tmp_path / "bad.onnx", **fault)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=f"bad.onnx: .*{reason}"):
        load_model(path)


def looping_model(path: Path, body: list[onnx.NodeProto], rounds: int) -> Path:
    """Write a model that repeats something before it answers."""
    model = onnx.load(tiny_model(path))
    carried = helper.make_tensor_value_info("carried_in", TensorProto.FLOAT, None)
    inner = helper.make_graph(
        [helper.make_node("Identity", ["condition_in"], ["condition_out"]), *body],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition_in", TensorProto.BOOL, []),
            carried,
        ],
        [
            helper.make_tensor_value_info("condition_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried_out", TensorProto.FLOAT, None),
        ],
    )
    model.graph.initializer.extend(
        [
            helper.make_tensor("rounds", TensorProto.INT64, [], [rounds]),
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        ]
    )
    loop = helper.make_node("Loop", ["rounds", "yes", "features"], ["looped"], body=inner)
    keep = helper.make_node("Shape", ["looped"], ["shape"])
    model.graph.node.insert(0, loop)
    model.graph.node.insert(1, keep)
    model.graph.node.insert(2, helper.make_node("Reshape", ["looped", "shape"], ["again"]))
    model.graph.node[3].input[0] = "again"
    onnx.save(model, path)
    return path


def test_a_model_that_never_answers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 5)
    same = helper.make_node("Identity", ["carried_in"], ["carried_out"])
    path = looping_model(tmp_path / "endless.onnx", [same], 2**62)
    with pytest.raises(ModelError, match=r"endless\.onnx did not answer .* within 5 s"):
        load_model(path)


def test_a_model_that_takes_all_memory_is_refused(tmp_path: Path) -> None:
    double = helper.make_node("Concat", ["carried_in", "carried_in"], ["carried_out"], axis=0)
    path = looping_model(tmp_path / "huge.onnx", [double], 40)
    with pytest.raises(ModelError, match=r"huge\.onnx"):
        load_model(path)


def test_a_link_into_the_models_folder_needs_its_card(tmp_path: Path) -> None:
    link = tmp_path / "models"
    link.symlink_to(model_path("any").parent)
    assert load_model(link / "mlp-seed-25.onnx").metadata.name == "mlp-seed-25"
    assert is_shipped(link / "mlp-seed-25.onnx")


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


#: Heads whose windows share a run. Of others the classifier finds out by itself when it starts: the
#: bits of a plain matrix product, as of `lda-musicnn-200`, depend on its rows.
IN_ONE_RUN = (
    "discriminant-librosa-52",
    "extra-trees-seed-25",
    "mlp-seed-25",
    "random-forest-seed-25",
)


@pytest.mark.parametrize("name", IN_ONE_RUN)
def test_a_shipped_model_gives_the_same_bits_in_a_batch(name: str) -> None:
    assert rows_are_independent(load_model(model_path(name)))


class Drifting(Model):
    """A model whose answers depend on the company that a window is in."""

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return super().probabilities(features) * np.float32(1 + 1e-6 * (len(features) > 3))


def test_one_whose_bits_drift_in_a_batch_is_noticed() -> None:
    model = load_model(model_path("extra-trees-seed-25"))
    assert not rows_are_independent(Drifting(model.metadata, model.session))
