"""Write the filter banks of the feature sets anew: ``python -m features.generate_filter_banks``."""

from dataclasses import fields
from typing import Final

import librosa.filters
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from features.descriptors.filter_banks import (
    FILE,
    N_CHROMA,
    N_FFT,
    N_MELS,
    SAMPLE_RATE,
    FilterBanks,
)
from features.descriptors.names import N_MFCC
from features.embeddings import log_mel

#: Such weights change a pitch class by 1e-9 of the strongest, far below float32.
_NEGLIGIBLE: Final = 1e-9


def librosa_filter_banks() -> FilterBanks:
    """Compute the filter banks by librosa."""
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


def log_mel_bank() -> dict[str, NDArray[np.float32]]:
    """Compute the filters of `log_mel.MelBank` by librosa, by name."""
    window = librosa.filters.get_window("hann", log_mel.N_FFT)
    mel = librosa.filters.mel(
        sr=log_mel.SAMPLE_RATE, n_fft=log_mel.N_FFT, n_mels=log_mel.N_MELS, dtype=np.float32
    )
    return {"window": window.astype(np.float32), "mel": mel}


def main() -> None:
    """Write the filter banks anew."""
    np.savez_compressed(log_mel.FILE, allow_pickle=False, **log_mel_bank())
    banks = librosa_filter_banks()
    arrays = {field.name: getattr(banks, field.name) for field in fields(FilterBanks)}
    np.savez_compressed(FILE, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
