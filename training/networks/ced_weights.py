"""The weights of CED-Tiny, read from the ONNX file of its crate.

The file keeps matrices in 8 bits: a weight is ``scale * (stored - zero_point)``, with one scale for
a matrix, and a zero point of 0.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

if TYPE_CHECKING:
    import onnx

DEPTH: Final = 12
WIDTH: Final = 192
HEADS: Final = 3
#: Side of a patch: frames, and mel bands.
PATCH: Final = 16
N_MELS: Final = 64

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix in 8 bits.

    Attributes
    ----------
    stored
        [shape=(n, m), int8].
    scale
        Size of one step.
    """

    stored: NDArray[np.int8]
    scale: np.float32

    @property
    def values(self) -> NDArray[np.float32]:
        """The matrix in float32."""
        return self.stored.astype(np.float32) * self.scale


@dataclass(frozen=True, slots=True)
class Affine:
    """Scale and shift by channel, as a layer normalisation ends with [shape=(n,) each]."""

    scale: Values
    shift: Values


@dataclass(frozen=True, slots=True)
class Dense:
    """A matrix [shape=(n, m)] and a bias [shape=(m,)]."""

    matrix: Matrix
    bias: Values


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the transformer."""

    norm1: Affine
    qkv: Dense
    projection: Dense
    norm2: Affine
    fc1: Dense
    fc2: Dense


@dataclass(frozen=True, slots=True)
class Ced:
    """The network.

    Attributes
    ----------
    mel
        Mel filters [shape=(257, 64)].
    input_norm
        Of the 64 bands, learned: scale and shift.
    patch
        From the 256 values of a patch, frames within bands [shape=(256, 192)].
    time, frequency
        Positions [shape=(63, 192)] and [shape=(4, 192)].
    blocks
        Of the transformer.
    norm, output_norm
        Before and after the mean over patches.
    classes
        To the logits of AudioSet's 527 classes [shape=(192, 527)].
    """

    mel: Matrix
    input_norm: Affine
    patch: Dense
    time: Values
    frequency: Values
    blocks: tuple[Block, ...]
    norm: Affine
    output_norm: Affine
    classes: Dense


def read_weights(file: bytes) -> Ced:
    """Read the weights of the crate's network.

    Raises
    ------
    DataError
        The file is another network.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return _Reader(onnx.load_from_string(file)).network()
    except (KeyError, ValueError, IndexError, DecodeError) as error:
        raise DataError(f"the ONNX file is not CED-Tiny as soundevents has it: {error}") from error


class _Reader:
    def __init__(self, model: "onnx.ModelProto") -> None:
        from onnx import numpy_helper

        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        products = [node.input[1] for node in model.graph.node if node.op_type == "MatMul"]
        names = [name.removesuffix("_dq") for name in products if name.endswith("_dq")]
        self.matrices = [name for name in names if name.startswith("val_")]
        if len(self.matrices) != 4 * DEPTH:
            raise ValueError(f"{len(self.matrices)} matrices in its blocks, {4 * DEPTH} are needed")

    def network(self) -> Ced:
        encoder = "model.encoder"
        kernel = self.matrix(f"{encoder}.patch_embed.proj.weight")
        patch = Matrix(kernel.stored.reshape(WIDTH, PATCH * PATCH).T, kernel.scale)
        classes = self.matrix("model.outputlayer.1.weight")
        return Ced(
            mel=self.matrix("mel_transform.mel_scale.fb"),
            input_norm=self.input_norm(f"{encoder}.init_bn"),
            patch=Dense(patch, self.values(f"{encoder}.patch_embed.proj.bias")),
            time=self.values(f"{encoder}.time_pos_embed")[0, :, 0].T,
            frequency=self.values("alias")[0, :, :, 0].T,
            blocks=tuple(self.block(number) for number in range(DEPTH)),
            norm=self.affine(f"{encoder}.norm"),
            output_norm=self.affine("model.outputlayer.0"),
            classes=Dense(
                Matrix(classes.stored.T, classes.scale), self.values("model.outputlayer.1.bias")
            ),
        )

    def block(self, number: int) -> Block:
        name = f"model.encoder.blocks.{number}"
        qkv, projection, fc1, fc2 = map(self.matrix, self.matrices[4 * number : 4 * number + 4])
        return Block(
            norm1=self.affine(f"{name}.norm1"),
            qkv=Dense(qkv, self.values(f"{name}.attn.qkv.bias")),
            projection=Dense(projection, self.values(f"{name}.attn.proj.bias")),
            norm2=self.affine(f"{name}.norm2"),
            fc1=Dense(fc1, self.values(f"{name}.mlp.fc1.bias")),
            fc2=Dense(fc2, self.values(f"{name}.mlp.fc2.bias")),
        )

    def input_norm(self, name: str) -> Affine:
        weight, bias, mean, variance = (
            self.constants[f"{name}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + np.float32(1e-5))
        return Affine(scale, bias - mean * scale)

    def affine(self, name: str) -> Affine:
        return Affine(self.constants[f"{name}.weight"], self.constants[f"{name}.bias"])

    def matrix(self, name: str) -> Matrix:
        if self.constants[f"{name}_z"] != 0:
            raise ValueError(f"{name} has zero point {self.constants[f'{name}_z']}, 0 is needed")
        return Matrix(self.constants[f"{name}_q"], np.float32(self.constants[f"{name}_s"]))

    def values(self, name: str) -> Values:
        return self.constants[name] if name in self.constants else self.matrix(name).values
