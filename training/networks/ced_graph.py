"""CED as an ONNX graph of our own: any columns of patches, any depth, products in 8 bits.

The network cuts a log-mel spectrogram into patches of 16 bands by 16 frames. Each is a token of a
vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929) that knows its place, so some columns
of patches may be left out: what is left keeps its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.models.export import IR_VERSION, OPSETS
from training.networks.ced_weights import (
    HEADS,
    N_MELS,
    PATCH,
    WIDTH,
    Affine,
    Block,
    Ced,
    Dense,
    Matrix,
    Values,
)

if TYPE_CHECKING:
    import onnx

_BANDS: Final = N_MELS // PATCH
_HEAD_WIDTH: Final = WIDTH // HEADS
#: Power below it counts as this much, as in the network's training.
_FLOOR: Final = np.float32(1e-10)
_DECIBELS: Final = np.float32(10 / np.log(10))


@dataclass(slots=True)
class GraphBuilder:
    """Nodes and constants of a graph in the making.

    Attributes
    ----------
    eight_bits
        Whether the products of the blocks are computed in 8 bits, their inputs scaled anew each
        time; else in float32.
    """

    eight_bits: bool
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, values: Any) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        array = np.asarray(values)
        self.constants.append(
            numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        )
        return name

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node and return the name of its output, or the names of several."""
        from onnx import helper

        names = [f"n{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def shape(self, x: str, *sizes: int) -> str:
        """Reshape."""
        found: str = self.node("Reshape", x, self.constant(np.array(sizes, np.int64)))
        return found

    def matrix(self, matrix: Matrix) -> str:
        """Add a matrix that is kept in 8 bits and widened once, when the file is loaded."""
        wide = self.node("Cast", self.constant(matrix.stored), to=1)
        found: str = self.node("Mul", wide, self.constant(matrix.scale))
        return found

    def affine(self, x: str, affine: Affine) -> str:
        """Scale and shift channels."""
        scaled = self.node("Mul", x, self.constant(affine.scale))
        found: str = self.node("Add", scaled, self.constant(affine.shift))
        return found

    def norm(self, x: str, affine: Affine, epsilon: float = 1e-6) -> str:
        """Normalise a token."""
        scale, shift = self.constant(affine.scale), self.constant(affine.shift)
        found: str = self.node("LayerNormalization", x, scale, shift, epsilon=epsilon, axis=-1)
        return found

    def dense(self, x: str, dense: Dense) -> str:
        """Multiply by a matrix and add a bias."""
        product = self._eight_bits(x, dense.matrix) if self.eight_bits else self._wide(x, dense)
        found: str = self.node("Add", product, self.constant(dense.bias))
        return found

    def _wide(self, x: str, dense: Dense) -> str:
        found: str = self.node("MatMul", x, self.matrix(dense.matrix))
        return found

    def _eight_bits(self, x: str, matrix: Matrix) -> str:
        """Multiply in 8 bits: ONNX Runtime makes one kernel of these nodes."""
        small, scale, zero = self.node("DynamicQuantizeLinear", x, outputs=3)
        stored = self.constant(matrix.stored)
        product = self.node("MatMulInteger", small, stored, zero)
        both = self.node("Mul", scale, self.constant(matrix.scale))
        found: str = self.node("Mul", self.node("Cast", product, to=1), both)
        return found


def tokens(graph: GraphBuilder, network: Ced, power: str, columns: Sequence[int]) -> str:
    """Make tokens of the power spectra of some columns [shape=(n, 16 columns, 257)]."""
    bands = graph.node("MatMul", power, graph.matrix(network.mel))
    floor = graph.node("Max", bands, graph.constant(_FLOOR))
    decibels = graph.node("Mul", graph.node("Log", floor), graph.constant(_DECIBELS))
    log_mel = graph.affine(decibels, network.input_norm)
    patches = graph.shape(log_mel, -1, len(columns), PATCH, _BANDS, PATCH)
    patches = graph.node("Transpose", patches, perm=[0, 3, 1, 4, 2])
    patches = graph.shape(patches, -1, _BANDS * len(columns), PATCH * PATCH)
    places = network.frequency[:, np.newaxis] + network.time[list(columns)]
    offset = network.patch.bias + places.reshape(-1, WIDTH)
    product = graph.node("MatMul", patches, graph.matrix(network.patch.matrix))
    found: str = graph.node("Add", product, graph.constant(offset))
    return found


def block(graph: GraphBuilder, x: str, weights: Block, n_tokens: int) -> str:
    """Add a block of the transformer: attention, then two layers with GELU."""
    x = graph.node("Add", x, _attention(graph, graph.norm(x, weights.norm1), weights, n_tokens))
    hidden = _gelu(graph, graph.dense(graph.norm(x, weights.norm2), weights.fc1))
    found: str = graph.node("Add", x, graph.dense(hidden, weights.fc2))
    return found


def _attention(graph: GraphBuilder, x: str, weights: Block, n_tokens: int) -> str:
    qkv = graph.shape(graph.dense(x, weights.qkv), -1, n_tokens, 3, HEADS, _HEAD_WIDTH)
    qkv = graph.node("Transpose", qkv, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.node("Gather", qkv, graph.constant(np.int64(part)), axis=0) for part in range(3)
    )
    scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
    scores = graph.node("Mul", scores, graph.constant(np.float32(_HEAD_WIDTH**-0.5)))
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
    mixed = graph.shape(graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), -1, n_tokens, WIDTH)
    return graph.dense(mixed, weights.projection)


def _gelu(graph: GraphBuilder, x: str) -> str:
    erf = graph.node("Erf", graph.node("Div", x, graph.constant(np.float32(2**0.5))))
    grown = graph.node("Mul", x, graph.node("Add", erf, graph.constant(np.float32(1))))
    found: str = graph.node("Mul", grown, graph.constant(np.float32(0.5)))
    return found


def encode(
    graph: GraphBuilder, network: Ced, power: str, columns: Sequence[int], depth: int
) -> str:
    """Add the transformer up to a depth; its tokens are [shape=(n, 4 columns, 192)]."""
    x = tokens(graph, network, power, columns)
    for weights in network.blocks[:depth]:
        x = block(graph, x, weights, _BANDS * len(columns))
    return x


def mean(graph: GraphBuilder, x: str) -> str:
    """Average over tokens."""
    found: str = graph.node("ReduceMean", x, graph.constant(np.array([1], np.int64)), keepdims=0)
    return found


def tag(graph: GraphBuilder, network: Ced, x: str) -> str:
    """Add the end of the whole network: probabilities of AudioSet's 527 classes."""
    pooled = mean(graph, graph.norm(x, network.norm))
    normal = graph.norm(pooled, network.output_norm, epsilon=1e-5)
    found: str = graph.node("Sigmoid", graph.dense(normal, network.classes))
    return found


def finish(
    graph: GraphBuilder, inputs: tuple[str, Sequence[Any]], *outputs: tuple[str, str, Sequence[Any]]
) -> "onnx.ModelProto":
    """Return the model.

    Parameters
    ----------
    graph
        Its nodes and constants.
    inputs
        Name and shape.
    outputs
        Name in the graph, name to give it, and shape of each.
    """
    from onnx import TensorProto, helper

    names = {name: given for name, given, _ in outputs}
    for node in graph.nodes:
        for ends in (node.input, node.output):
            ends[:] = [names.get(end, end) for end in ends]
    made = helper.make_graph(
        graph.nodes,
        "ced",
        [helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, inputs[1])],
        [helper.make_tensor_value_info(g, TensorProto.FLOAT, shape) for _, g, shape in outputs],
        graph.constants,
    )
    opset = helper.make_opsetid("", OPSETS[""])
    model: onnx.ModelProto = helper.make_model(made, opset_imports=[opset], ir_version=IR_VERSION)
    return model


__all__ = ["GraphBuilder", "Values", "encode", "finish", "mean", "tag"]
