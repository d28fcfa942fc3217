"""Log-mel spectrogram as MusiCNN takes it: 96 bands of 187 frames from one window of 3 s.

The network was trained on librosa 0.6's ``melspectrogram(sr=16000, n_fft=512, hop_length=256,
n_mels=96)``, whose frames are centred: the first one reaches half a frame before the window, where
the sound is mirrored. Frame 186 ends inside of the window, so no later audio is needed.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.formats.audio import Samples

SAMPLE_RATE: Final = 16_000
N_FFT: Final = 512
HOP_LENGTH: Final = 256
N_MELS: Final = 96
N_FRAMES: Final = 187
#: Of one window of 3 s.
N_SAMPLES: Final = 48_000
#: Power of a band is multiplied by it before the logarithm.
GAIN: Final = np.float32(10_000)

FILE: Final = Path(__file__).with_suffix(".npz")

LogMel = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MelBank:
    """librosa's own filters, kept in `log_mel.npz`.

    ``python -m features.generate_filter_banks`` writes it anew.

    Attributes
    ----------
    window
        Periodic Hann window [shape=(512,), float32].
    mel
        Triangles of mel bands [shape=(96, 257), float32].
    """

    window: NDArray[np.float32]
    mel: NDArray[np.float32]

    @property
    def edges(self) -> NDArray[np.int64]:
        """First bin of each band and the one behind its last [shape=(96, 2)]."""
        bins = [np.flatnonzero(band) for band in self.mel]
        return np.array([(band[0], band[-1] + 1) for band in bins], np.int64)


@cache
def mel_bank() -> MelBank:
    """Read the filters."""
    with np.load(FILE, allow_pickle=False) as file:
        return MelBank(file["window"], file["mel"])


@dataclass(frozen=True, slots=True)
class _Tables:
    """What `spectra.log_mel` reads."""

    starts: NDArray[np.int64]
    window: NDArray[np.float32]
    weights: NDArray[np.float32]
    edges: NDArray[np.int64]


@cache
def _tables() -> _Tables:
    from features.embeddings.spectra import STEP

    bank = mel_bank()
    weights = np.pad(bank.mel, ((0, 0), (0, STEP - 1)))
    return _Tables(HOP_LENGTH * np.arange(N_FRAMES), bank.window, weights, bank.edges)


def log_mel(y: Samples) -> LogMel:
    """Compute the log-mel spectrogram of one window.

    Parameters
    ----------
    y
        Samples at 16 kHz [shape=(48000,), float32].

    Returns
    -------
    log10(1 + 10000 * power) of each band [shape=(187, 96), float32].
    """
    from features.embeddings import spectra

    tables = _tables()
    result = np.empty((N_FRAMES, N_MELS), np.float32)
    spectra.log_mel(
        spectra.mirrored(y),
        tables.starts,
        tables.window,
        spectra.roots(),
        spectra.order(),
        tables.weights,
        tables.edges,
        GAIN,
        result,
    )
    return result
