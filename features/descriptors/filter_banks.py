"""Filter banks of the librosa sets: librosa's own, kept in `filter_banks.npz`.

Importing ``librosa.filters`` costs 2 s, and 25 s where numba's cache is cold; reading the file
costs 10-20 ms. ``python -m features.generate_filter_banks`` writes it anew; a test compares it
with librosa.
"""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 22_050
N_FFT: Final = 2048
HOP_LENGTH: Final = 512
N_BINS: Final = 1 + N_FFT // 2
N_CHROMA: Final = 12
N_MELS: Final = 128

FILE: Final = Path(__file__).with_suffix(".npz")


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
    with np.load(FILE, allow_pickle=False) as file:
        return FilterBanks(**{field.name: file[field.name] for field in fields(FilterBanks)})
