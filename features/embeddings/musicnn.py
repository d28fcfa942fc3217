"""`musicnn-200`: what a network trained on the Million Song Dataset hears in 3 s of music.

The embedding is the penultimate layer, before its ReLU, of MusiCNN (Pons and Serra 2019,
arXiv:1909.06654). ``genrestream build-musicnn`` makes the ONNX file from the authors' checkpoint.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.log_mel import N_SAMPLES, LogMel, log_mel
from features.embeddings.shipped_networks import FOLDER, ShippedNetwork
from features.formats.audio import Samples
from schemas.errors import InvalidSamples

N_VALUES: Final = 200
INPUT_NAME: Final = "log_mel"
OUTPUT_NAME: Final = "embedding"

FILE: Final = FOLDER / "musicnn-200.onnx"
NETWORK: Final = ShippedNetwork(FILE, "build-musicnn", INPUT_NAME, OUTPUT_NAME)


def embedding(y: Samples) -> NDArray[np.float32]:
    """Embed one window.

    A shorter one, the last of a stream, is repeated until it has 3 s, as in the network's training.

    Parameters
    ----------
    y
        Samples at 16 kHz [shape=(n,), float32], at most 48000.

    Returns
    -------
    The embedding [shape=(200,), float32].

    Raises
    ------
    InvalidSamples
        The window is longer than 3 s.
    ModelError
        The network's file is missing or damaged.
    """
    if len(y) > N_SAMPLES:
        raise InvalidSamples(
            f"musicnn-200 takes windows of at most {N_SAMPLES} samples, got {len(y)}: cut them to "
            "3 s"
        )
    return embed(log_mel(np.resize(y, N_SAMPLES)))


def embed(patch: LogMel) -> NDArray[np.float32]:
    """Run the network on one patch, alone, so that no bit depends on what else is at hand.

    Parameters
    ----------
    patch
        Log-mel frames [shape=(187, 96), float32].
    """
    return NETWORK.run(patch)
