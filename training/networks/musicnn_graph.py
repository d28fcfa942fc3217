"""MusiCNN as an ONNX graph of matrix products: the same answers in half of the time.

The front end has four fifths of the work. Its convolutions are computed in two other ways, both
exact but for rounding (1e-5 where values reach 15):

- A timbral filter (7 frames by 38 or 67 of 96 bands) slides over all heights. By the correlation
  theorem (Oppenheim and Schafer, Discrete-Time Signal Processing, 8.6) that is a product for each
  of 49 frequencies *along the bands*. A circle of 96 is long enough: no height that counts wraps.
  It takes 225,000 multiply-adds a frame, the filters themselves 558,000.
- A temporal filter (32 to 128 frames of one band) is a product with a band matrix, for a block of
  8 frames at a time. That is up to a quarter more work, but in the shape that ONNX Runtime's
  kernels run at full speed, where they pad a convolution with few filters to 8 or 16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.log_mel import N_FRAMES, N_MELS
from features.embeddings.musicnn import INPUT_NAME, OUTPUT_NAME
from training.networks.musicnn_layers import Block, MusiCNN, Weights

if TYPE_CHECKING:
    import onnx

#: Frames whose temporal filters are one product.
_FRAMES_A_BLOCK: Final = 8
_BLOCKS: Final = -(-N_FRAMES // _FRAMES_A_BLOCK)
#: Frequencies along the bands: from 0 to half of the 96 bands.
_FREQUENCIES: Final = N_MELS // 2 + 1
#: The longest filter reaches so many frames back, and a block so many ahead.
_BACK: Final = 63
_AHEAD: Final = 64 + _FRAMES_A_BLOCK * _BLOCKS - N_FRAMES

_Float64s = NDArray[np.float64]


@dataclass
class Graph:
    """Nodes and constants; an operation gives the name of its output."""

    nodes: list["onnx.NodeProto"] = field(default_factory=list)
    constants: list["onnx.TensorProto"] = field(default_factory=list)

    def add(self, operation: str, *inputs: Any, **attributes: Any) -> str:
        """Add an operation on outputs, by their names, and on constants, as arrays."""
        from onnx import helper

        output = f"{operation}{len(self.nodes)}".lower()
        names = [name if isinstance(name, str) else self._constant(name) for name in inputs]
        self.nodes.append(helper.make_node(operation, names, [output], **attributes))
        return output

    def reshape(self, x: str, *shape: int) -> str:
        """Give an output another shape."""
        return self.add("Reshape", x, np.array(shape, np.int64))

    def slice(self, x: str, first: int, end: int, axis: int) -> str:
        """Take a part along an axis."""
        return self.add("Slice", x, *(np.array([i], np.int64) for i in (first, end, axis)))

    def reduce(self, operation: str, x: str, axis: int) -> str:
        """Take the maximum or the mean along an axis."""
        return self.add(operation, x, np.array([axis], np.int64), keepdims=0)

    def _constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        array = value.astype(np.float32) if value.dtype.kind == "f" else value
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def to_onnx(network: MusiCNN, opset: int) -> "onnx.ModelProto":
    """Build the graph: one patch [shape=(1, 187, 96)] to its embedding [shape=(1, D)]."""
    graph = Graph()
    x = _frames(graph, network)
    return finish(graph, _front_end(graph, x, network.front_end), network, {"": opset})


def front_end(network: MusiCNN, opset: int) -> "onnx.ModelProto":
    """Build the front end alone: one patch to its answers, normalised [shape=(filters, 187)]."""
    graph = Graph()
    _front_end(graph, _frames(graph, network), network.front_end)
    filters = sum(len(block.bias) for block in network.front_end)
    return _model(graph, "front_end", [filters, N_FRAMES], {"": opset})


def finish(
    graph: Graph, answers: str, network: MusiCNN, opsets: Mapping[str, int]
) -> "onnx.ModelProto":
    """Add what follows the front end, and return the model.

    Parameters
    ----------
    graph
        Up to the front end.
    answers
        Of the front end, normalised [shape=(filters, 187)].
    network
        The weights.
    opsets
        Version of each domain of operators.
    """
    mid_end = [graph.reshape(answers, 1, -1, N_FRAMES)]
    for number, block in enumerate(network.mid_end):
        mid_end.append(_mid_end(graph, mid_end[-1], block, residual=number > 0))
    _pool(graph, graph.add("Concat", *mid_end, axis=1), network)
    return _model(graph, OUTPUT_NAME, [1, len(network.bias)], opsets)


def _model(
    graph: Graph, output: str, shape: Sequence[int], opsets: Mapping[str, int]
) -> "onnx.ModelProto":
    """Return the model; the last operation gives the output."""
    from onnx import TensorProto, helper

    graph.nodes[-1].output[0] = output
    patch = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [1, N_FRAMES, N_MELS])
    answer = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
    built = helper.make_graph(graph.nodes, "musicnn", [patch], [answer], graph.constants)
    versions = [helper.make_opsetid(*opset) for opset in opsets.items()]
    return helper.make_model(built, opset_imports=versions)


def _frames(graph: Graph, network: MusiCNN) -> str:
    """Normalise a patch, and put silence around it [shape=(63 + 187 + …, 96)]."""
    norm = network.input_norm
    flat = graph.reshape(INPUT_NAME, -1)  # a scalar is applied to one long row at full speed
    scaled = graph.add("Mul", flat, norm.scale.reshape(()))
    shifted = graph.add("Add", scaled, norm.shift.reshape(()))
    frames = graph.reshape(shifted, N_FRAMES, N_MELS)
    return graph.add("Pad", frames, np.array([_BACK, 0, _AHEAD, 0], np.int64))


def _front_end(graph: Graph, x: str, blocks: tuple[Block, ...]) -> str:
    """Return the strongest answer of all heights [shape=(filters, 187)], ReLU'd and normalised.

    Where a normalisation turns the sign, the maximum after it is the minimum before: that filter
    is negated, and turned back once the maximum is taken.
    """
    spectrum = _spectrum(graph, x)
    signs = [np.where(block.norm.scale < 0, np.float32(-1), np.float32(1)) for block in blocks]
    turned = [block.kernel[:, :, 0] * sign for block, sign in zip(blocks, signs, strict=True)]
    answers = [
        _timbral(graph, spectrum, kernel)
        if kernel.shape[1] > 1
        else _temporal(graph, x, kernel[:, 0])
        for kernel in turned
    ]
    answer = graph.add("Mul", graph.add("Concat", *answers, axis=0), column(signs))
    answer = graph.add("Add", answer, column([block.bias for block in blocks]))
    answer = graph.add("Mul", graph.add("Relu", answer), column([b.norm.scale for b in blocks]))
    return graph.add("Add", answer, column([block.norm.shift for block in blocks]))


def column(parts: Sequence[Weights]) -> Weights:
    """Stack values of filters [shape=(filters, 1)]."""
    return np.concatenate(parts)[:, np.newaxis]


def _spectrum(graph: Graph, x: str) -> str:
    """Transform each frame along its bands [shape=(1, 98, 193)]: real and imaginary parts."""
    turns = np.outer(np.arange(_FREQUENCIES), np.arange(N_MELS)) * (2 * np.pi / N_MELS)
    parts = np.stack([np.cos(turns), -np.sin(turns)], axis=1).reshape(-1, N_MELS)
    around = graph.slice(x, _BACK - 3, _BACK + N_FRAMES + 3, 0)  # a timbral filter has 7 frames
    bands = graph.add("Transpose", around, perm=[1, 0])
    return graph.reshape(graph.add("MatMul", parts, bands), 1, len(parts), -1)


def _timbral(graph: Graph, spectrum: str, kernel: Weights) -> str:
    """Slide filters [shape=(7, mels, filters)] over all heights; keep the strongest answer.

    Returns
    -------
    Name of the answers [shape=(filters, 187)].
    """
    frames, mels, filters = kernel.shape
    products = graph.add(
        "Conv", spectrum, _products(kernel), group=_FREQUENCIES, kernel_shape=[frames]
    )
    rows = graph.reshape(products, 2 * _FREQUENCIES, filters * N_FRAMES)
    back = _to_heights(N_MELS - mels + 1)
    heights = graph.add("MatMul", graph.add("Transpose", rows, perm=[1, 0]), back.T)
    return graph.reshape(graph.reduce("ReduceMax", heights, 1), filters, N_FRAMES)


def _products(kernel: Weights) -> _Float64s:
    """Return what a frequency's spectrum is multiplied by [shape=(49 * 2 * filters, 2, 7)].

    A product of complex numbers with the conjugate of the filter's transform, as four real ones.
    """
    frames, _, filters = kernel.shape
    transform = np.fft.fft(kernel, N_MELS, axis=1)[:, :_FREQUENCIES].conj().transpose(1, 2, 0)
    real, imaginary = transform.real, transform.imag
    rows = np.stack([np.stack([real, -imaginary], 2), np.stack([imaginary, real], 2)], 1)
    return rows.reshape(_FREQUENCIES * 2 * filters, 2, frames)


def _to_heights(count: int) -> _Float64s:
    """Return the inverse transform of a real sequence, its first terms [shape=(count, 98)]."""
    weight = np.full(_FREQUENCIES, 2.0 / N_MELS)
    weight[[0, -1]] /= 2
    turns = np.outer(np.arange(count), np.arange(_FREQUENCIES)) * (2 * np.pi / N_MELS)
    parts = np.stack([weight * np.cos(turns), -weight * np.sin(turns)], axis=2)
    return parts.reshape(count, 2 * _FREQUENCIES)


def _temporal(graph: Graph, x: str, kernel: Weights) -> str:
    """Move filters [shape=(frames, filters)] over time; keep the strongest answer of all bands.

    Returns
    -------
    Name of the answers [shape=(filters, 187)].
    """
    frames, filters = kernel.shape
    first = _BACK - (frames - 1) // 2
    length = _FRAMES_A_BLOCK + frames - 1
    starts = first + _FRAMES_A_BLOCK * np.arange(_BLOCKS)
    blocks = graph.add("Gather", x, starts[:, np.newaxis] + np.arange(length), axis=0)
    answers = graph.add("MatMul", _band_matrix(kernel, length), blocks)
    strongest = graph.reduce("ReduceMax", answers, 2)
    over_time = graph.reshape(strongest, _BLOCKS * _FRAMES_A_BLOCK, filters)
    return graph.add("Transpose", graph.slice(over_time, 0, N_FRAMES, 0), perm=[1, 0])


def _band_matrix(kernel: Weights, length: int) -> Weights:
    """Return each filter at each frame of a block [shape=(8 * filters, length)]."""
    frames, filters = kernel.shape
    matrix = np.zeros((_FRAMES_A_BLOCK, filters, length), np.float32)
    for place in range(_FRAMES_A_BLOCK):
        matrix[place, :, place : place + frames] = kernel.T
    return matrix.reshape(-1, length)


def _mid_end(graph: Graph, x: str, block: Block, *, residual: bool) -> str:
    """Convolve over 7 frames [shape=(1, filters, 187)]."""
    weights = block.kernel.transpose(2, 1, 0)
    convolved = graph.add("Conv", x, weights, block.bias, kernel_shape=[7], pads=[3, 3])
    scaled = graph.add("Mul", graph.add("Relu", convolved), block.norm.scale.reshape(1, -1, 1))
    answer = graph.add("Add", scaled, block.norm.shift.reshape(1, -1, 1))
    if not residual:
        return answer
    filters, channels, _ = weights.shape
    return graph.add("Add", answer, _widen(graph, x, filters - channels))


def _widen(graph: Graph, x: str, missing: int) -> str:
    """Add channels of zeros to [shape=(1, channels, 187)]: a pruned block is narrower."""
    return graph.add("Pad", x, np.array([0, 0, 0, 0, missing, 0], np.int64)) if missing else x


def _pool(graph: Graph, x: str, network: MusiCNN) -> None:
    """Embed the maximum and the mean over time."""
    maximum = graph.reduce("ReduceMax", x, 2)
    mean = graph.reduce("ReduceMean", x, 2)
    maxima, means = network.dense[:, 0], network.dense[:, 1]
    dense = np.concatenate([maxima, means])
    product = graph.add("MatMul", graph.add("Concat", maximum, mean, axis=1), dense)
    graph.add("Add", product, network.bias)
