"""Log-mel spectrogram as MusiCNN takes it: 96 bands of 187 frames from one window of 3 s.

The network was trained on librosa 0.6's ``melspectrogram(sr=16000, n_fft=512, hop_length=256,
n_mels=96)``, whose frames are centred: the first one reaches half a frame before the window, where
the sound is mirrored. Frame 186 ends inside of the window, so no later audio is needed.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from features.formats.audio import Samples

if TYPE_CHECKING:
    import scipy.sparse

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
        Triangles of mel bands [shape=(96, 257), float32], sparse.
    """

    window: NDArray[np.float32]
    mel: "scipy.sparse.csr_array[Any]"


@cache
def mel_bank() -> MelBank:
    """Read the filters."""
    from scipy.sparse import csr_array

    with np.load(FILE, allow_pickle=False) as file:
        return MelBank(file["window"], csr_array(file["mel"]))


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
    bank = mel_bank()
    padded = np.pad(y, (N_FFT // 2, 0), mode="reflect")
    frames = sliding_window_view(padded, N_FFT)[::HOP_LENGTH][:N_FRAMES]
    spectrum = scipy.fft.rfft(frames * bank.window, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    bands = bank.mel @ power.T  # sparse: the sums keep their order on any number of threads
    result: LogMel = np.log10(np.float32(1) + GAIN * bands.T)
    return np.ascontiguousarray(result)
