"""Tune MusiCNN's last layers to the ten genres, with mixup and masked copies.

Settings were written down before any score was seen, and were not changed: the last convolution
over time and the dense layer start from the checkpoint, ReLU, dropout and a softmax follow. Mixup
(Zhang et al. 2018) mixes what the dense layer is given, for maxima over time do not mix before
(Verma et al. 2019, manifold mixup). A batch has each genre as often as another.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.wider_heads.hearing import Tunable
from schemas import GENRES
from training.data.datasets import Classes, Probabilities
from training.networks.musicnn_layers import MusiCNN

STEPS: Final = 300
BATCH: Final = 160
#: Of Adam: for the layers of the checkpoint, and for the new one.
RATES: Final = (1e-4, 1e-3)
WEIGHT_DECAY: Final = 1e-2
DROPOUT: Final = 0.5
#: Of the beta distribution that mixup draws from.
MIXUP: Final = 0.4
_CHANNELS: Final = 64


@dataclass(frozen=True, slots=True)
class Tuned:
    """The tuned layers as variables of TensorFlow, with the scale of what the dense one is given.

    Attributes
    ----------
    kernel, bias
        Of the last convolution [shape=(7, 64, 64), (64,)].
    scale, shift
        Of its normalisation [shape=(64,)].
    mean, deviation
        Of pooled values [shape=(D,)].
    dense, dense_bias, softmax, softmax_bias
        [shape=(D, 200), (200,), (200, 10), (10,)].
    """

    kernel: Any
    bias: Any
    scale: NDArray[np.float32]
    shift: NDArray[np.float32]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    dense: Any
    dense_bias: Any
    softmax: Any
    softmax_bias: Any

    def pooled(self, sequences: Any, fixed: Any) -> Any:
        """Run the convolution, pool, and standardise [shape=(n, D)]."""
        import tensorflow as tf

        x = tf.cast(sequences, tf.float32)
        answer = tf.nn.relu(tf.nn.conv1d(x, self.kernel, 1, "SAME") + self.bias)
        answer = answer * self.scale + self.shift + x
        half = self.mean.shape[0] // 2
        whole = tf.concat(
            [
                fixed[:, : half - _CHANNELS],
                tf.reduce_max(answer, 1),
                fixed[:, half : 2 * half - _CHANNELS],
                tf.reduce_mean(answer, 1),
            ],
            axis=1,
        )
        return (whole - self.mean) / self.deviation

    def logits(self, pooled: Any, dropout: float = 0.0) -> Any:
        """Run what follows the pooling."""
        import tensorflow as tf

        hidden = tf.nn.relu(pooled @ self.dense + self.dense_bias)
        return tf.nn.dropout(hidden, dropout) @ self.softmax + self.softmax_bias

    def predict(self, tunable: Tunable, rows: NDArray[np.intp]) -> Probabilities:
        """Return the probabilities of windows as they are, without masks [shape=(n, 10)]."""
        import tensorflow as tf

        parts = [
            tf.nn.softmax(self.logits(self.pooled(tunable.sequences[0, i], tunable.fixed[0, i])))
            for i in np.array_split(rows, max(1, len(rows) // 256))
        ]
        return np.concatenate([np.asarray(part, np.float64) for part in parts])


def tune(network: MusiCNN, tunable: Tunable, rows: NDArray[np.intp], y: Classes) -> Tuned:
    """Tune to some windows [shape=(n,)] and their genres [shape=(n,)]; the same seed each time."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    tuned = _start(network, tunable.fixed[0, rows])
    old = [tuned.kernel, tuned.bias, tuned.dense, tuned.dense_bias]
    new = [tuned.softmax, tuned.softmax_bias]
    optimisers = [tf.keras.optimizers.AdamW(rate, WEIGHT_DECAY) for rate in RATES]
    for optimiser, variables in zip(optimisers, (old, new), strict=True):
        optimiser.build(variables)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(sequences: Any, fixed: Any, truth: Any, mix: Any) -> None:
        with tf.GradientTape() as tape:
            pooled = tuned.pooled(sequences, fixed)
            mixed = mix * pooled + (1 - mix) * pooled[::-1]
            target = mix * truth + (1 - mix) * truth[::-1]
            logits = tuned.logits(mixed, DROPOUT)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        gradients = tape.gradient(loss, [*old, *new])
        optimisers[0].apply_gradients(zip(gradients[: len(old)], old, strict=True))
        optimisers[1].apply_gradients(zip(gradients[len(old) :], new, strict=True))

    random = np.random.default_rng(0)
    one_hot = np.eye(len(GENRES), dtype=np.float32)
    for chosen in _batches(y, random):
        copies = random.integers(0, len(tunable.fixed), len(chosen))
        windows = rows[chosen]
        mix = np.maximum(mix := random.beta(MIXUP, MIXUP, (len(chosen), 1)), 1 - mix)
        step(
            tf.constant(tunable.sequences[copies, windows]),
            tf.constant(tunable.fixed[copies, windows]),
            tf.constant(one_hot[y[chosen]]),
            tf.constant(mix.astype(np.float32)),
        )
    return tuned


def _start(network: MusiCNN, fixed: NDArray[np.float32]) -> Tuned:
    import tensorflow as tf

    last = network.mid_end[2]
    maxima, means = network.dense[:, 0], network.dense[:, 1]
    dense = np.concatenate([maxima, means])
    mean, deviation = fixed.mean(axis=0), np.maximum(fixed.std(axis=0), 1e-3)
    softmax = np.random.default_rng(0).normal(0.0, 0.05, (dense.shape[1], len(GENRES)))
    return Tuned(
        kernel=tf.Variable(last.kernel),
        bias=tf.Variable(last.bias),
        scale=last.norm.scale,
        shift=last.norm.shift,
        mean=mean,
        deviation=deviation,
        dense=tf.Variable(deviation[:, np.newaxis] * dense),
        dense_bias=tf.Variable(network.bias + mean @ dense),
        softmax=tf.Variable(softmax.astype(np.float32)),
        softmax_bias=tf.Variable(np.zeros(len(GENRES), np.float32)),
    )


def _batches(y: Classes, random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Draw windows, each genre as often, in a random order."""
    by_genre = [np.flatnonzero(y == genre) for genre in range(len(GENRES))]
    for _ in range(STEPS):
        drawn = [random.choice(rows, BATCH // len(GENRES)) for rows in by_genre]
        yield random.permutation(np.concatenate(drawn))
