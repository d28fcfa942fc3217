"""Spectral descriptors per frame, by librosa, from one shared STFT.

Parameters are those of the public GTZAN tables (librosa's defaults: n_fft 2048, hop 512, Hann, 128
mel bands, 20 MFCCs) but for what a stream must not do: frames are not padded
(``center=False``) and chroma uses no tuning estimated from the whole recording (``tuning=0.0``).
MFCCs are clipped 80 dB below the loudest mel band of the samples given (``top_db=80``), as
librosa does, thus per window.
"""

from typing import Final

import librosa
import numpy as np
from numpy.typing import NDArray

from features.decode import Samples

SAMPLE_RATE: Final = 22_050
N_FFT: Final = 2048
HOP_LENGTH: Final = 512
N_MFCC: Final = 20

_MFCCS: Final = tuple(f"mfcc{i}" for i in range(1, N_MFCC + 1))
#: The 25 descriptors of the study.
SEED_DESCRIPTORS: Final = (
    "chroma_stft",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    *_MFCCS,
)
#: The descriptors of the public 30 s table, in its column order.
TABLE_DESCRIPTORS: Final = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    *_MFCCS,
)

Frames = NDArray[np.floating]


def descriptors_per_frame(y: Samples) -> dict[str, Frames]:
    """Compute every descriptor of every frame.

    Parameters
    ----------
    y
        Samples at 22 050 Hz [shape=(n,)].

    Returns
    -------
    By name [shape=(bins, t)]: 12 bins for ``chroma_stft``, one for the others.
    """
    S = np.abs(librosa.stft(y, n_fft=N_FFT, hop_length=HOP_LENGTH, center=False))
    power = np.square(S)
    feature = librosa.feature
    frames: dict[str, Frames] = {
        "chroma_stft": feature.chroma_stft(S=power, sr=SAMPLE_RATE, n_fft=N_FFT, tuning=0.0),
        "rms": feature.rms(y=y, frame_length=N_FFT, hop_length=HOP_LENGTH, center=False),
        "spectral_centroid": feature.spectral_centroid(S=S, sr=SAMPLE_RATE),
        "spectral_bandwidth": feature.spectral_bandwidth(S=S, sr=SAMPLE_RATE),
        "rolloff": feature.spectral_rolloff(S=S, sr=SAMPLE_RATE),
        "zero_crossing_rate": feature.zero_crossing_rate(
            y, frame_length=N_FFT, hop_length=HOP_LENGTH, center=False
        ),
    }
    mel = feature.melspectrogram(S=power, sr=SAMPLE_RATE, n_fft=N_FFT)
    mfcc = feature.mfcc(S=librosa.power_to_db(mel, top_db=80.0), n_mfcc=N_MFCC)
    return frames | {name: mfcc[i : i + 1] for i, name in enumerate(_MFCCS)}


def means(y: Samples, descriptors: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the mean over time (and chroma bins) of each descriptor [shape=(D,)]."""
    frames = descriptors_per_frame(y)
    return np.array([frames[name].mean(dtype=np.float64) for name in descriptors], np.float32)


def means_and_variances(y: Samples, descriptors: tuple[str, ...]) -> NDArray[np.float32]:
    """Return mean and population variance of each descriptor in turn [shape=(2 D,)]."""
    frames = descriptors_per_frame(y)
    moments = [
        (frames[name].mean(dtype=np.float64), frames[name].var(dtype=np.float64))
        for name in descriptors
    ]
    return np.array(moments, np.float32).ravel()
