"""Compare the networks with the processor's peak: ``python -m benchmarks.network_limits``.

The multiply-adds of a shipped graph, as ONNX Runtime runs it, over those that one product of square
matrices does in the same time: float32, and 8 bits (unsigned times signed) where the graph has
them. All on one thread, by turns; the least of many rounds counts.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks import report
from features.embeddings import musicnn
from features.embeddings.shipped_networks import ShippedNetwork
from features.onnx_session import import_onnxruntime, open_session

REPORT: Final = report.FOLDER / "network-limits.json"
SIZE: Final = 512
#: Operators that multiply, as ONNX Runtime names them when it has put some together.
_PRODUCTS: Final = ("Conv", "FusedConv", "QLinearConv", "Gemm", "MatMul", "FusedMatMul")
#: Ends the name of an event that is a node's run.
_RUN: Final = "_kernel_time"


@dataclass(frozen=True, slots=True)
class Limit:
    """A network beside the peak.

    Attributes
    ----------
    name
        Of its file.
    ms
        Of one window.
    multiply_adds
        By kind of product, ``float`` and ``int8``.
    least_ms
        Of those, at the peak of each kind.
    """

    name: str
    ms: float
    multiply_adds: dict[str, int]
    least_ms: float

    @property
    def ratio(self) -> float:
        """How many times as long as at the peak it takes."""
        return self.ms / self.least_ms


def multiply_adds(model: bytes, feed: dict[str, Any]) -> dict[str, int]:
    """Count what a graph multiplies in one run, by kind."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    of_name = _weights(model)
    found = {"float": 0, "int8": 0}
    for event in events:
        operator = event.get("args", {}).get("op_name")
        if operator in _PRODUCTS and event["name"].endswith(_RUN):
            (first,) = event["args"]["input_type_shape"][0].values()
            (output,) = event["args"]["output_type_shape"][0].values()
            if operator == "QLinearConv":
                inner = math.prod(of_name[event["name"].removesuffix(_RUN)][1:])
            elif "Conv" in operator:
                (weights,) = event["args"]["input_type_shape"][1].values()
                inner = math.prod(weights[1:])
            else:  # [.., m, k] or [.., k, m] times something is [.., m, n]
                inner = math.prod(first[-2:]) // output[-2]
            found["int8" if operator.startswith("Q") else "float"] += math.prod(output) * inner
    return found


def _weights(model: bytes) -> dict[str, list[int]]:
    """Return the shape of the weights of convolutions in integers, by ONNX Runtime's name."""
    graph = onnx.load_from_string(model).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    return {
        node.name or f"{node.op_type}_{number}": shapes[node.input[3]]
        for number, node in enumerate(graph.node)
        if node.op_type == "QLinearConv"
    }


def product(kind: str) -> Callable[[], object]:
    """Return a product of square matrices of this kind."""
    rng = np.random.default_rng(0)
    shape = (SIZE, SIZE)
    if kind == "float":
        a, b = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        node = helper.make_node("MatMul", ["a", "b"], ["c"])
        types = TensorProto.FLOAT, TensorProto.FLOAT
    else:
        a = rng.integers(0, 200, shape).astype(np.uint8)
        b = rng.integers(-81, 82, shape).astype(np.int8)
        node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
        types = TensorProto.UINT8, TensorProto.INT32
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("a", types[0], shape)],
        [helper.make_tensor_value_info("c", types[1], shape)],
        [onnx.numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = open_session(model.SerializeToString())
    return lambda: session.run(None, {"a": a})


def least_ms(parts: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least processor time of each part, by turns, in ms."""
    times = dict.fromkeys(parts, math.inf)
    for _ in range(rounds):
        for name, part in parts.items():
            start = time.thread_time_ns()
            part()
            times[name] = min(times[name], (time.thread_time_ns() - start) / 1e6)
    return times


def measure(rounds: int) -> tuple[list[Limit], dict[str, float]]:
    """Measure the genre networks; return them and the peaks, in billion multiply-adds a second."""
    feed = {musicnn.INPUT_NAME: musicnn.trial_patch()[np.newaxis]}
    networks = {network.file.stem: network for network in (musicnn.NETWORK, musicnn.INT8_NETWORK)}
    parts = {kind: product(kind) for kind in ("float", "int8")}
    parts |= {name: _run(network, feed) for name, network in networks.items()}
    times = least_ms(parts, rounds)
    peaks = {kind: SIZE**3 / times[kind] / 1e6 for kind in ("float", "int8")}
    limits = []
    for name, network in networks.items():
        counts = multiply_adds(network.read(), feed)
        least = sum(count / peaks[kind] / 1e6 for kind, count in counts.items())
        limits.append(Limit(name, times[name], counts, least))
    return limits, peaks


def _run(network: ShippedNetwork, feed: dict[str, Any]) -> Callable[[], object]:
    session = network.load()
    return lambda: session.run(None, feed)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go")
    parser.add_argument("--rounds", type=int, default=500)
    options = parser.parse_args()
    before = report.machine()
    limits, peaks = measure(options.rounds)
    report.show(
        "networks beside a product of 512 x 512 matrices: "
        + ", ".join(f"{kind} {peak:.0f}" for kind, peak in peaks.items())
        + " billion multiply-adds a second",
        ("", "ms", "million multiply-adds, float", "int8", "ms at the peak", "ratio"),
        [
            [
                limit.name,
                f"{limit.ms:.2f}",
                f"{limit.multiply_adds['float'] / 1e6:.1f}",
                f"{limit.multiply_adds['int8'] / 1e6:.1f}",
                f"{limit.least_ms:.2f}",
                f"{limit.ratio:.2f}",
            ]
            for limit in limits
        ],
    )
    figures = [asdict(limit) | {"ratio": limit.ratio} for limit in limits]
    report.write(options.json, before, [*figures, peaks])


if __name__ == "__main__":
    main()
