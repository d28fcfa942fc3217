"""MusiCNN with its front end in 8 bits: integers alone, so the same bits on any processor.

The front end has four fifths of the work. Its filters slide as they are published: in integers that
costs less than the detour of `musicnn_graph` by frequencies along the bands. What follows is small
and stays in float32.

What is heard has 201 steps and a weight 81 to each side, so that the sum of two products fits into
16 bits: a processor with AVX2 and without VNNI adds in 16 bits, and cuts off what is larger. With
256 and 127 steps the same file gave other values there (docs/performance.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.log_mel import N_FRAMES, N_MELS
from features.embeddings.musicnn import INPUT_NAME
from training.networks.musicnn_graph import Graph, column, finish
from training.networks.musicnn_layers import Block, MusiCNN, Weights

if TYPE_CHECKING:
    import onnx

#: Largest value of the log-mel bands: a sine at full scale has 6.7.
LOUDEST: Final = 7.0
#: Steps of what is heard, of weights to each side, of answers.
_HEARD: Final = 200
_WEIGHT: Final = 81
_ANSWER: Final = 255
#: Correlation of what is heard a frame or a band apart, and its mean's square in variances.
_ALIKE: Final = 0.97
_MEAN: Final = 1.0
#: Step of a filter without weights: a fine one, for its bias is in steps, too.
_SILENT: Final = 1e-4
#: Heights that one product answers for, and frames.
_HEIGHTS: Final = {38: 12, 67: 8}
_FRAMES: Final = 16
#: Channels are a multiple of it, for ONNX Runtime's kernels.
_ALIGNED: Final = 4
#: Silence before and behind the window, in frames: the longest filter reaches 63 back.
_BACK: Final = 64
_BLOCKS: Final = -(-N_FRAMES // _FRAMES)
_ALL_BLOCKS: Final = _BLOCKS + 2 * _BACK // _FRAMES
#: Domain of ONNX Runtime's own operators, whose channels come last.
_DOMAIN: Final = "com.microsoft"

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Heard:
    """The quantised log-mel frames: ``step * (q - silence)`` is what the front end takes.

    Attributes
    ----------
    frames
        Name of the output [shape=(187, 96), uint8].
    step, silence
        Of the above; a pad is silence.
    """

    frames: str
    step: float
    silence: int


def to_onnx(network: MusiCNN, loudest: Sequence[Weights], opset: int) -> "onnx.ModelProto":
    """Build the graph: one patch [shape=(1, 187, 96)] to its embedding [shape=(1, D)].

    Parameters
    ----------
    network
        The weights.
    loudest
        The largest answer of each filter of the front end, after its ReLU and before its
        normalisation: an array a block [shape=(filters,) each]. Louder ones are cut off.
    opset
        Version of the operators.
    """
    graph = Graph()
    heard = _hear(graph, network)
    blocks = _blocks(graph, heard)
    pairs = list(zip(network.front_end, loudest, strict=True))
    answers = [
        _timbral(graph, heard, pair)
        if pair[0].kernel.shape[1] > 1
        else _temporal(graph, heard, blocks, pair)
        for pair in pairs
    ]
    steps = graph.add("Cast", graph.add("Concat", *answers, axis=1), to=1)
    turned = graph.add("Transpose", steps, perm=[1, 0])
    scaled = graph.add("Mul", turned, column([_scale(*pair) for pair in pairs]))
    front_end = graph.add("Add", scaled, column([_shift(*pair) for pair in pairs]))
    return finish(graph, front_end, network, {"": opset, _DOMAIN: 1})


def _hear(graph: Graph, network: MusiCNN) -> Heard:
    """Quantise a patch, its normalisation included; silence has a step of its own."""
    scale, shift = (float(part[0]) for part in (network.input_norm.scale, network.input_norm.shift))
    silence = int(np.ceil(-shift / (scale * LOUDEST / _HEARD)))
    step = -shift / silence
    frames = graph.reshape(INPUT_NAME, N_FRAMES, N_MELS)
    steps = graph.add("QuantizeLinear", frames, np.float32(step / scale), np.uint8(0))
    return Heard(graph.add("Min", steps, np.uint8(_HEARD)), step, silence)


def _negative(block: Block) -> NDArray[np.bool_]:
    """Tell which filters' normalisation turns the sign, so that the least answer counts."""
    return np.asarray(block.norm.scale < 0)


def _scale(block: Block, loudest: Weights) -> Weights:
    """Return what a step of each filter's answer is worth."""
    sign = np.where(_negative(block), -1, 1)
    return np.asarray(sign * block.norm.scale * loudest / _ANSWER, np.float32)


def _shift(block: Block, loudest: Weights) -> Weights:
    """Return what is added to the answers: a least answer counts down from the loudest."""
    turned = np.where(_negative(block), block.norm.scale * loudest, 0)
    return np.asarray(turned + block.norm.shift, np.float32)


@dataclass(frozen=True, slots=True)
class _Filters:
    """Filters in integers: ``step * weights`` is the kernel, turned where the least answer counts.

    Attributes
    ----------
    weights
        [shape=(filters, mels, frames)].
    step
        [shape=(filters,)].
    """

    weights: NDArray[np.float64]
    step: NDArray[np.float64]


def _quantise(block: Block) -> _Filters:
    """Round the filters of a block of the front end."""
    kernel = block.kernel[:, :, 0].transpose(2, 1, 0).astype(np.float64)
    kernel *= np.where(_negative(block), -1, 1)[:, np.newaxis, np.newaxis]
    filters, mels, frames = kernel.shape
    rows = kernel.reshape(filters, -1)
    largest = np.abs(rows).max(axis=1) / _WEIGHT
    step = np.where(largest > 0, largest, _SILENT)
    scaled = rows / step[:, np.newaxis]
    rounded = np.clip(round_alike(scaled, _likeness(mels, frames)), -_WEIGHT, _WEIGHT)
    return _Filters(rounded.reshape(kernel.shape), step)


def _likeness(mels: int, frames: int) -> NDArray[np.float64]:
    """Model the mean products of what neighbouring weights hear [shape=(n, n)].

    It need not be exact: it says that neighbours hear nearly the same, and all of it is positive.
    """
    bands, times = (
        _ALIKE ** np.abs(np.subtract.outer(a, a)) for a in map(np.arange, (mels, frames))
    )
    return np.asarray(np.kron(bands, times) + _MEAN, np.float64)


def round_alike(rows: NDArray[np.float64], likeness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round weights one after another; those to come make up for the error of those before.

    That is GPTQ (Frantar et al. 2022, arXiv:2210.17323), by a model of what the weights hear.

    Parameters
    ----------
    rows
        Weights in steps [shape=(filters, n)].
    likeness
        Mean products of what they hear [shape=(n, n)], positive definite.
    """
    upper = np.linalg.cholesky(np.linalg.inv(likeness)).T
    left, rounded = rows.copy(), np.zeros_like(rows)
    for i in range(rows.shape[1]):
        rounded[:, i] = np.clip(np.rint(left[:, i]), -_WEIGHT, _WEIGHT)
        error = (left[:, i] - rounded[:, i]) / upper[i, i]
        left[:, i + 1 :] -= np.outer(error, upper[i, i + 1 :])
    return rounded


def _convolve(
    graph: Graph,
    x: str,
    heard: Heard,
    pair: tuple[Block, Weights],
    laid_out: _Filters,
    rim: int = 0,
) -> str:
    """Convolve in integers, channels last; bias and ReLU are included, the loudest is 255.

    Parameters
    ----------
    graph, heard
        As above.
    x
        What is heard [shape=(n, height, width, channels), uint8].
    pair
        The block, and the loudest answers of its filters.
    laid_out
        Its filters, one or more times [shape=(times * filters, channels, height)].
    rim
        Rows of silence on both sides.
    """
    block, loudest = pair
    times = len(laid_out.step) // len(loudest)
    turned = _negative(block)
    bias = np.where(turned, loudest - block.bias, block.bias)
    worth = laid_out.step * heard.step
    height = laid_out.weights.shape[2]
    return graph.add(
        "QLinearConv",
        x,
        np.float32(1),
        np.uint8(heard.silence),
        laid_out.weights[..., np.newaxis].astype(np.int8),
        worth / np.tile(loudest / _ANSWER, times),
        np.zeros(len(worth), np.int8),
        np.float32(1),
        np.uint8(0),
        np.rint(np.tile(bias, times) / worth).astype(np.int32),
        domain=_DOMAIN,
        channels_last=1,
        kernel_shape=[height, 1],
        pads=[rim, 0, rim, 0],
    )


def _strongest(graph: Graph, x: str, *shape: int) -> str:
    """Give an output four axes, and take the maximum over the second."""
    size = [shape[1], 1]
    pooled = graph.reshape(x, *shape)
    return graph.add("NhwcMaxPool", pooled, domain=_DOMAIN, kernel_shape=size, strides=[1, 1])


def _timbral(graph: Graph, heard: Heard, pair: tuple[Block, Weights]) -> str:
    """Slide filters over all heights, some heights a product; keep the strongest answer.

    Returns
    -------
    Name of the answers [shape=(187, filters), uint8].
    """
    filters = _quantise(pair[0])
    count, mels, frames = filters.weights.shape
    last = N_MELS - mels
    heights = min(_HEIGHTS[mels], last + 1)
    starts = [min(first, last + 1 - heights) for first in range(0, last + 1, heights)]
    channels = -(-(mels + heights - 1) // _ALIGNED) * _ALIGNED
    laid_out = np.zeros((heights, count, channels, frames))
    for height in range(heights):
        laid_out[height, :, height : height + mels] = filters.weights
    parts = [part for first in starts for part in _bands(graph, heard, first, first + channels)]
    x = graph.reshape(graph.add("Concat", *parts, axis=1), 1, N_FRAMES, len(starts), channels)
    repeated = _Filters(laid_out.reshape(-1, channels, frames), np.tile(filters.step, heights))
    answers = _convolve(graph, x, heard, pair, repeated, frames // 2)
    of_parts = _strongest(graph, answers, N_FRAMES, len(starts), 1, heights * count)
    strongest = _strongest(graph, of_parts, N_FRAMES, heights, 1, count)
    return graph.reshape(strongest, N_FRAMES, count)


def _bands(graph: Graph, heard: Heard, first: int, end: int) -> list[str | Bytes]:
    """Take bands, and silence beyond the last, which no weight hears."""
    parts: list[str | Bytes] = [graph.slice(heard.frames, first, min(end, N_MELS), 1)]
    if end > N_MELS:
        parts.append(np.full((N_FRAMES, end - N_MELS), heard.silence, np.uint8))
    return parts


def _blocks(graph: Graph, heard: Heard) -> str:
    """Put silence around the frames of each band, 16 frames a row [shape=(96, 20, 1, 16)]."""
    behind = _ALL_BLOCKS * _FRAMES - _BACK - N_FRAMES
    pads = np.array([_BACK, 0, behind, 0], np.int64)
    padded = graph.add("Pad", heard.frames, pads, np.uint8(heard.silence))
    bands = graph.add("Transpose", padded, perm=[1, 0])
    return graph.reshape(bands, N_MELS, _ALL_BLOCKS, 1, _FRAMES)


def _temporal(graph: Graph, heard: Heard, blocks: str, pair: tuple[Block, Weights]) -> str:
    """Move filters over time, 16 frames a product; keep the strongest answer of all bands.

    Returns
    -------
    Name of the answers [shape=(187, filters), uint8].
    """
    filters = _quantise(pair[0])
    count, _, frames = filters.weights.shape
    back = (frames - 1) // 2
    rows_back = -(-back // _FRAMES)
    rows = rows_back + 1 + (_FRAMES - 1 + frames // 2) // _FRAMES
    laid_out = np.zeros((_FRAMES, count, rows * _FRAMES))
    for frame in range(_FRAMES):
        first = rows_back * _FRAMES - back + frame
        laid_out[frame, :, first : first + frames] = filters.weights[:, 0]
    in_rows = laid_out.reshape(-1, rows, _FRAMES).transpose(0, 2, 1)
    first = _BACK // _FRAMES - rows_back
    around = graph.slice(blocks, first, first + _BLOCKS + rows - 1, 1)
    repeated = _Filters(in_rows, np.tile(filters.step, _FRAMES))
    answers = _convolve(graph, around, heard, pair, repeated)
    strongest = _strongest(graph, answers, 1, N_MELS, _BLOCKS, _FRAMES * count)
    over_time = graph.reshape(strongest, _BLOCKS * _FRAMES, count)
    return graph.slice(over_time, 0, N_FRAMES, 0)
