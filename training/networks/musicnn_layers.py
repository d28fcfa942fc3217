"""MusiCNN (Pons and Serra 2019, arXiv:1909.06654): the published network, made again in Keras.

A front end with filters shaped for music (Pons et al. 2018, arXiv:1711.02520), three convolutions
over time with residual connections, pooling over time and a dense layer. The weights come from the
authors' checkpoint; see `training.networks.musicnn_checkpoint`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.log_mel import N_FRAMES, N_MELS
from features.embeddings.musicnn import INPUT_NAME

if TYPE_CHECKING:
    pass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ["KERAS_BACKEND"] = "tensorflow"

#: Of the checkpoint's batch normalisation.
EPSILON: Final = 1e-3
#: A filter whose weights are all smaller answers the same to every sound.
DEAD_BELOW: Final = 1e-6

Weights = NDArray[np.float32]

_FRONT_END: Final = (0, 1, 2, 3, 4)
_MID_END: Final = (5, 6, 7)
_POOLED: Final = 9


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Batch normalisation in use: ``scale * x + shift`` [shape=(channels,) each]."""

    scale: Weights
    shift: Weights


@dataclass(frozen=True, slots=True)
class Block:
    """A convolution, ReLU, and batch normalisation.

    Attributes
    ----------
    kernel
        In the front end [shape=(frames, mels, 1, filters)], in the mid-end
        [shape=(frames, channels, filters)].
    bias
        Of the convolution [shape=(filters,)].
    norm
        What follows the ReLU.
    """

    kernel: Weights
    bias: Weights
    norm: Normalisation

    @property
    def constant(self) -> Weights:
        """What a filter answers whose weights are all zero [shape=(filters,)]."""
        return self.norm.scale * np.maximum(self.bias, 0) + self.norm.shift

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Whether a filter's answer depends on what it hears [shape=(filters,)]."""
        largest = np.abs(self.kernel).reshape(-1, len(self.bias)).max(axis=0)
        return np.asarray(largest >= DEAD_BELOW)


@dataclass(frozen=True, slots=True)
class MusiCNN:
    """The weights of the network, from log-mel frames to the penultimate layer.

    Attributes
    ----------
    input_norm
        Of all mel bands alike [shape=(1,)].
    front_end
        Timbral blocks of 7 x 38 and 7 x 67, temporal ones of 128, 64 and 32 frames.
    mid_end
        Three convolutions over 7 frames.
    dense, bias
        Penultimate layer, the normalisation before it included
        [shape=(channels, 2, 200), (200,)]: of each channel the maximum over time and the mean.
    """

    input_norm: Normalisation
    front_end: tuple[Block, ...]
    mid_end: tuple[Block, ...]
    dense: Weights
    bias: Weights


def from_checkpoint(variables: Mapping[str, Weights]) -> MusiCNN:
    """Arrange the variables of the authors' checkpoint, by their names there."""
    pooled = _normalisation(variables, _POOLED)
    kernel = variables["dense/kernel"]
    return MusiCNN(
        input_norm=_normalisation(variables, 0),
        front_end=tuple(_block(variables, number) for number in _FRONT_END),
        mid_end=tuple(_over_time(_block(variables, number)) for number in _MID_END),
        dense=(pooled.scale[:, np.newaxis] * kernel).reshape(-1, 2, kernel.shape[1]),
        bias=variables["dense/bias"] + pooled.shift @ kernel,
    )


def _name(layer: str, number: int) -> str:
    return f"{layer}_{number}" if number else layer


def _normalisation(variables: Mapping[str, Weights], number: int) -> Normalisation:
    name = _name("batch_normalization", number)
    gamma, beta, mean, variance = (
        variables[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + np.float32(EPSILON))
    return Normalisation(scale, beta - mean * scale)


def _block(variables: Mapping[str, Weights], number: int) -> Block:
    name = _name("conv2d", number)
    norm = _normalisation(variables, number + 1)
    return Block(variables[f"{name}/kernel"], variables[f"{name}/bias"], norm)


def _over_time(block: Block) -> Block:
    """Read filters that span all channels as filters over time."""
    return replace(block, kernel=block.kernel[:, :, 0, :])


def prune(network: MusiCNN) -> MusiCNN:
    """Leave out filters that answer to nothing; the result stays the same.

    Weight decay left most of them without weights: 497 of the 561 in the front end and 44 of the 64
    after it, in the network of the Million Song Dataset. What they add to later layers is constant,
    so one filter without weights that answers 1 stands for them all.
    """
    return _prune_mid_end(_prune_front_end(network))


def _prune_front_end(network: MusiCNN) -> MusiCNN:
    alive = np.concatenate([block.alive for block in network.front_end])
    constant = np.concatenate([block.constant for block in network.front_end])
    *blocks, last = [_keep(block, block.alive) for block in network.front_end]
    first, *later = network.mid_end
    front, rest = np.split(network.dense, [len(alive)])
    return replace(
        network,
        front_end=(*blocks, _with_one(last)),
        mid_end=(replace(first, kernel=_merge_dead(first.kernel, alive, constant, 1)), *later),
        dense=np.concatenate([_merge_dead(front, alive, constant, 0), rest]),
    )


def _prune_mid_end(network: MusiCNN) -> MusiCNN:
    """Prune the first block after the front end, whose channels two sums go on with.

    All later channels are put in another order, those alive first. The filter that answers 1 lies
    where the first dead one did, and is subtracted again from the first sum.
    """
    first, second, third = network.mid_end
    alive = first.alive
    if alive.all():
        return network
    order = np.argsort(~alive, kind="stable")
    added = np.where(alive, np.float32(0), first.constant)[order]
    added[alive.sum()] -= 1
    second = _keep(
        replace(second, kernel=_merge_dead(second.kernel, alive, first.constant, 1)), order
    )
    front, one, two, three = np.split(network.dense, np.cumsum([-3, 1, 1]) * len(alive))
    return replace(
        network,
        mid_end=(
            _with_one(_keep(first, alive)),
            replace(second, norm=replace(second.norm, shift=second.norm.shift + added)),
            _keep(replace(third, kernel=third.kernel[:, order]), order),
        ),
        dense=np.concatenate(
            [front, _merge_dead(one, alive, first.constant, 0), two[order], three[order]]
        ),
    )


def _keep(block: Block, filters: NDArray[np.bool_] | NDArray[np.intp]) -> Block:
    norm = Normalisation(block.norm.scale[filters], block.norm.shift[filters])
    return Block(block.kernel[..., filters], block.bias[filters], norm)


def _with_one(block: Block) -> Block:
    """Add a filter that answers 1 to everything."""
    silent = np.zeros((*block.kernel.shape[:-1], 1), np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    return Block(
        np.concatenate([block.kernel, silent], axis=-1),
        np.concatenate([block.bias, one]),
        Normalisation(
            np.concatenate([block.norm.scale, one]), np.concatenate([block.norm.shift, zero])
        ),
    )


def _merge_dead(
    weights: Weights, alive: NDArray[np.bool_], constant: Weights, axis: int
) -> Weights:
    """Give the dead channels along an axis one place, behind those that are alive."""
    dead = np.tensordot(
        constant[~alive].astype(np.float64), np.compress(~alive, weights, axis), (0, axis)
    )
    merged = np.expand_dims(dead.astype(np.float32), axis)
    return np.concatenate([np.compress(alive, weights, axis), merged], axis)


def build(network: MusiCNN) -> Any:
    """Build the Keras model: log-mel patches [shape=(n, 187, 96)] to embeddings [(n, 200)].

    The number of filters is what the weights have, whole or pruned.
    """
    import keras
    from keras import layers

    patch = keras.Input((N_FRAMES, N_MELS), name=INPUT_NAME)
    x = layers.Reshape((N_FRAMES, N_MELS, 1))(patch)
    x = _normalise(x, network.input_norm)
    front_end = [_front_end(x, block) for block in network.front_end]
    mid_end = [layers.Concatenate()(front_end)]
    for number, block in enumerate(network.mid_end):
        x = _mid_end(mid_end[-1], block)
        mid_end.append(layers.Add()([x, _widen(mid_end[-1], x)]) if number else x)
    x = layers.Concatenate()(mid_end)
    maximum, mean = layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)
    embedding = _dense(layers.Concatenate()([maximum, mean]), network)
    return keras.Model(patch, embedding)


def _front_end(x: Any, block: Block) -> Any:
    """Convolve frames of log-mel bands, and take the strongest answer of all heights.

    The maximum is taken before ReLU and normalisation, which are the same for all heights, so that
    they are computed once a frame. Where normalisation turns the sign, the maximum after it is the
    minimum before: the filter is negated.
    """
    from keras import layers, ops

    frames, mels, _, filters = block.kernel.shape
    before = (frames - 1) // 2
    sign = np.where(block.norm.scale < 0, np.float32(-1), np.float32(1))
    x = layers.ZeroPadding2D(((before, frames - 1 - before), (0, 0)))(x)
    convolution = layers.Conv2D(filters, (frames, mels))
    x = convolution(x)
    convolution.set_weights([block.kernel * sign, block.bias * sign])
    x = layers.MaxPooling2D((1, x.shape[2]))(x)
    x = layers.Lambda(lambda answer: ops.squeeze(answer, 2))(x)
    x = layers.Lambda(lambda answer: ops.relu(answer * sign))(x)
    return _normalise(x, block.norm)


def _mid_end(x: Any, block: Block) -> Any:
    from keras import layers

    convolution = layers.Conv1D(
        block.kernel.shape[-1], block.kernel.shape[0], padding="same", activation="relu"
    )
    x = convolution(x)
    convolution.set_weights([block.kernel, block.bias])
    return _normalise(x, block.norm)


def _widen(x: Any, other: Any) -> Any:
    """Add channels of zeros, as many as another has more: a pruned block is narrower."""
    from keras import ops

    missing = other.shape[-1] - x.shape[-1]
    return ops.pad(x, ((0, 0), (0, 0), (0, missing))) if missing else x


def _normalise(x: Any, norm: Normalisation) -> Any:
    """Normalise by what was learned; mean and variance of the layer are 0 and 1."""
    from keras import layers

    normalisation = layers.BatchNormalization(epsilon=0.0)
    x = normalisation(x)
    zeros, ones = np.zeros_like(norm.shift), np.ones_like(norm.scale)
    normalisation.set_weights([norm.scale, norm.shift, zeros, ones])
    return x


def _dense(x: Any, network: MusiCNN) -> Any:
    from keras import layers

    layer = layers.Dense(len(network.bias))
    x = layer(x)
    maxima, means = network.dense[:, 0], network.dense[:, 1]
    layer.set_weights([np.concatenate([maxima, means]), network.bias])
    return x
