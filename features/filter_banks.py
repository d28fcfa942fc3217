"""Filter banks of the librosa sets: librosa's own, kept in `filter_banks.npz`.

Importing ``librosa.filters`` costs 2 s, and 25 s where numba's cache is cold; reading the file
costs 2 ms. ``python -m features.filter_banks`` writes it anew; a test compares it with librosa.
"""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

SAMPLE_RATE: Final = 22_050
N_FFT: Final = 2048
HOP_LENGTH: Final = 512
N_BINS: Final = 1 + N_FFT // 2
N_CHROMA: Final = 12
N_MELS: Final = 128
N_MFCC: Final = 20

#: Such weights change a pitch class by 1e-9 of the strongest, far below float32.
_NEGLIGIBLE: Final = 1e-9
_FILE: Final = Path(__file__).with_suffix(".npz")


@dataclass(frozen=True, slots=True)
class FilterBanks:
    """What the frames of an STFT are multiplied by.

    Attributes
    ----------
    window
        Periodic Hann window [shape=(2048,), float64].
    window32
        The same [shape=(2048,), float32].
    chroma
        Weights of pitch classes without tuning, 0 where they are below 1e-9
        [shape=(12, 1025), float32].
    mel
        Triangles of mel bands [shape=(128, 1025), float32].
    mel_edges
        First bin of each band and the one behind its last [shape=(128, 2), int64].
    cosines
        Orthonormal cosine transform (DCT-II) of the mel bands [shape=(20, 128), float64].
    """

    window: NDArray[np.float64]
    window32: NDArray[np.float32]
    chroma: NDArray[np.float32]
    mel: NDArray[np.float32]
    mel_edges: NDArray[np.int64]
    cosines: NDArray[np.float64]


@cache
def filter_banks() -> FilterBanks:
    """Read the filter banks."""
    with np.load(_FILE, allow_pickle=False) as file:
        return FilterBanks(**{field.name: file[field.name] for field in fields(FilterBanks)})


def librosa_filter_banks() -> FilterBanks:
    """Compute the filter banks by librosa."""
    import librosa.filters

    window = librosa.filters.get_window("hann", N_FFT)
    chroma = librosa.filters.chroma(
        sr=SAMPLE_RATE, n_fft=N_FFT, tuning=0.0, n_chroma=N_CHROMA, dtype=np.float32
    )
    mel = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, dtype=np.float32)
    bins = [np.flatnonzero(band) for band in mel]
    return FilterBanks(
        window=window,
        window32=window.astype(np.float32),
        chroma=np.where(chroma < _NEGLIGIBLE, np.float32(0), chroma),
        mel=mel,
        mel_edges=np.array([(band[0], band[-1] + 1) for band in bins], np.int64),
        cosines=scipy.fft.dct(np.eye(N_MELS), axis=0, norm="ortho")[:N_MFCC],
    )


def main() -> None:
    """Write the filter banks anew."""
    banks = librosa_filter_banks()
    arrays = {field.name: getattr(banks, field.name) for field in fields(FilterBanks)}
    np.savez_compressed(_FILE, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
