"""Content: whether a window holds music, speech, other sound, each by itself.

CED-Tiny, a tagger trained on AudioSet's two million clips (Dinkel et al. 2023, arXiv:2308.11957),
hears two thirds of the window; small layers of our own on top of it say what it heard.
``genrestream build-ced`` makes the ONNX file.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.shipped_networks import FOLDER, ShippedNetwork
from features.formats.audio import Samples
from schemas.errors import InvalidSamples

SAMPLE_RATE: Final = 16_000
N_FFT: Final = 512
HOP_LENGTH: Final = 160
#: Of one window of 3 s.
N_SAMPLES: Final = 48_000
#: Frames in a patch of the network.
PATCH: Final = 16
#: Which of the window's 18 columns of patches, 160 ms each, are heard: two of three.
COLUMNS: Final = tuple(column for column in range(18) if column % 3 != 2)
#: What is told apart, in the order of the output.
KINDS: Final = ("music", "speech", "other")
INPUT_NAME: Final = "power"
OUTPUT_NAME: Final = "content"
#: The other output: the 192 values that the layers of our own go by.
EMBEDDING_NAME: Final = "embedding"
N_VALUES: Final = 192

FILE: Final = FOLDER / "content.onnx"
NETWORK: Final = ShippedNetwork(FILE, "build-ced", INPUT_NAME, OUTPUT_NAME, EMBEDDING_NAME)
#: Where the frames begin in the mirrored window.
_STARTS: Final = HOP_LENGTH * np.add.outer(PATCH * np.array(COLUMNS), np.arange(PATCH)).ravel()
N_FRAMES: Final = len(_STARTS)

PowerSpectra = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the network makes of a window.

    Attributes
    ----------
    content
        Probability of each of `KINDS` [shape=(3,), float32].
    embedding
        What they go by, `ced-192` [shape=(192,), float32].
    """

    content: NDArray[np.float32]
    embedding: NDArray[np.float32]


def heard(y: Samples) -> Hearing:
    """Hear a window.

    A shorter one, the last of a stream, is repeated until it has 3 s.

    Parameters
    ----------
    y
        Samples at 16 kHz [shape=(n,), float32], at most 48000.

    Raises
    ------
    InvalidSamples
        The window is longer than 3 s, or empty.
    ModelError
        The network's file is missing or damaged.
    """
    if not 0 < len(y) <= N_SAMPLES:
        raise InvalidSamples(
            f"content takes windows of 1 to {N_SAMPLES} samples, got {len(y)}: cut them to 3 s"
        )
    return hear(power_spectra(y if len(y) == N_SAMPLES else np.resize(y, N_SAMPLES)))


def power_spectra(y: Samples) -> PowerSpectra:
    """Compute the power spectra of the frames that are heard.

    The frames are centred, as in the network's training: the first one reaches half a frame before
    the window, where the sound is mirrored.

    Parameters
    ----------
    y
        Samples at 16 kHz [shape=(48000,), float32].

    Returns
    -------
    [shape=(192, 257), float32].
    """
    from features.embeddings import spectra

    power = np.empty((N_FRAMES, N_FFT // 2 + 1), np.float32)
    spectra.power(
        spectra.mirrored(y), _STARTS, spectra.hann(), spectra.roots(), spectra.order(), power
    )
    return power


def content(y: Samples) -> NDArray[np.float32]:
    """Say what a window holds [shape=(3,), float32]; takes and raises what `heard` does."""
    return heard(y).content


def embedding(y: Samples) -> NDArray[np.float32]:
    """Return the values of `ced-192` for a window; takes and raises what `heard` does."""
    return heard(y).embedding


def hear(power: PowerSpectra) -> Hearing:
    """Run the network on one window, alone, so that no bit depends on what else is at hand.

    Parameters
    ----------
    power
        Power spectra [shape=(192, 257), float32].
    """
    return Hearing(*NETWORK.run_all(power))
