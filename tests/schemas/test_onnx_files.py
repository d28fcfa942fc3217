"""What an ONNX file says of itself, read without ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from schemas import ModelMetadata
from schemas.errors import ModelError
from schemas.onnx_files import has_external_data, read_metadata

ROOT = Path(__file__).parents[2]


def test_metadata_is_read_without_onnx_runtime() -> None:
    files = sorted((ROOT / "models").glob("*.onnx"))
    assert files
    for file in files:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        props = session.get_modelmeta().custom_metadata_map
        assert read_metadata(file) == ModelMetadata.from_props(props)


@pytest.mark.parametrize("data", [b"no model", b"\x72\xff", b"\x77", b"\xff" * 12])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.onnx"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=r"x\.onnx"):
        read_metadata(file)


def external(weights: onnx.TensorProto) -> onnx.TensorProto:
    """Let a tensor claim that another file has it."""
    onnx.external_data_helper.set_external_data(weights, location="/etc/passwd")
    return weights


def tensor() -> onnx.TensorProto:
    return numpy_helper.from_array(np.zeros(4, np.float32), "weights")


def model(*nodes: onnx.NodeProto, weights: list[onnx.TensorProto]) -> bytes:
    graph = helper.make_graph(list(nodes), "g", [], [], weights)
    data: bytes = helper.make_model(graph).SerializeToString()
    return data


def branch(weights: onnx.TensorProto) -> onnx.NodeProto:
    """Hide a tensor in a branch of an If."""
    output = helper.make_tensor_value_info("weights", TensorProto.FLOAT, [4])
    inner = helper.make_graph([], "inner", [], [output], [weights])
    return helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)


def test_weights_in_other_files_are_found() -> None:
    assert not has_external_data(model(weights=[tensor()]))
    assert has_external_data(model(weights=[external(tensor())]))
    assert has_external_data(model(branch(external(tensor())), weights=[]))
    constant = helper.make_node("Constant", [], ["c"], value=external(tensor()))
    assert has_external_data(model(constant, weights=[]))


def test_shipped_models_are_whole() -> None:
    files = sorted((ROOT / "models").rglob("*.onnx"))
    assert files
    assert not any(has_external_data(file.read_bytes()) for file in files)
