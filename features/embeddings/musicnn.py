"""`musicnn-200`: what a network trained on the Million Song Dataset hears in 3 s of music.

The embedding is the penultimate layer, before its ReLU, of MusiCNN (Pons and Serra 2019,
arXiv:1909.06654). ``genrestream build-musicnn`` makes the ONNX file from the authors' checkpoint.

`musicnn-200-int8` is the same in less time: most of it is computed in 8 bits
(``genrestream build-musicnn-int8``). Its values are near, not the same.
"""

import json
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.log_mel import N_FRAMES, N_MELS, N_SAMPLES, LogMel, log_mel
from features.embeddings.shipped_networks import FOLDER, ShippedNetwork
from features.formats.audio import Samples
from schemas.errors import InvalidSamples, ModelError

N_VALUES: Final = 200
INPUT_NAME: Final = "log_mel"
OUTPUT_NAME: Final = "embedding"

FILE: Final = FOLDER / "musicnn-200.onnx"
NETWORK: Final = ShippedNetwork(FILE, "build-musicnn", INPUT_NAME, OUTPUT_NAME)
INT8_FILE: Final = FOLDER / "musicnn-200-int8.onnx"
INT8_NETWORK: Final = ShippedNetwork(INT8_FILE, "build-musicnn-int8", INPUT_NAME, OUTPUT_NAME)
#: In the file's metadata: what it answered to `trial_patch` where it was made, as JSON.
TRIAL_KEY: Final = "trial"
#: Largest difference from that: what follows the integers rounds otherwise on other processors.
TRIAL_TOLERANCE: Final = 1e-3


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
    return embed(_patch(y))


def embedding_int8(y: Samples) -> NDArray[np.float32]:
    """Embed one window likewise, by the network in 8 bits."""
    return INT8_NETWORK.run(_patch(y))


def _patch(y: Samples) -> LogMel:
    if len(y) > N_SAMPLES:
        raise InvalidSamples(
            f"musicnn-200 takes windows of at most {N_SAMPLES} samples, got {len(y)}: cut them to "
            "3 s"
        )
    return log_mel(y if len(y) == N_SAMPLES else np.resize(y, N_SAMPLES))


def embed(patch: LogMel) -> NDArray[np.float32]:
    """Run the network on one patch, alone, so that no bit depends on what else is at hand.

    Parameters
    ----------
    patch
        Log-mel frames [shape=(187, 96), float32].
    """
    return NETWORK.run(patch)


def trial_patch() -> LogMel:
    """Return log-mel frames that every filter answers to, by integers alone [shape=(187, 96)]."""
    frame, band = np.arange(N_FRAMES)[:, np.newaxis], np.arange(N_MELS)
    steps = (17 * frame + 31 * band + frame * band) % 97
    return steps.astype(np.float32) / np.float32(32)


def check_int8() -> None:
    """Try whether this processor computes what the one did on which the file was made.

    Raises
    ------
    ModelError
        It does not, or the file is missing or damaged.
    """
    session = INT8_NETWORK.load()
    expected = json.loads(session.get_modelmeta().custom_metadata_map[TRIAL_KEY])
    (found,) = session.run([OUTPUT_NAME], {INPUT_NAME: trial_patch()[np.newaxis]})
    difference = float(np.abs(found[0] - np.array(expected, np.float32)).max())
    if not difference <= TRIAL_TOLERANCE:
        raise ModelError(
            f"{INT8_FILE.name} answers otherwise on this processor than where it was made (by "
            f"{difference:.1g}): choose a model on musicnn-200, which computes in float32"
        )
