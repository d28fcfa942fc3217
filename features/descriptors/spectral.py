"""Spectral descriptors per frame, equal to librosa's, in one pass over blocks of frames.

Parameters are those of the public GTZAN tables (librosa's defaults: n_fft 2048, hop 512, Hann, 128
mel bands, 20 MFCCs) but for what a stream must not do: frames are not padded
(``center=False``) and chroma uses no tuning estimated from the whole recording (``tuning=0.0``).
MFCCs are clipped 80 dB below the loudest mel band of the samples given (``top_db=80``), as
librosa does, thus per window.

librosa transforms in float64. We transform in float32, at half the cost, and again in float64 only
those frames where rounding would show: a lone tone, whose bandwidth is as small as the rounding
noise of a thousand empty bins makes it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from features.descriptors.filter_banks import (
    HOP_LENGTH,
    N_CHROMA,
    N_FFT,
    N_MELS,
    SAMPLE_RATE,
    FilterBanks,
    filter_banks,
)
from features.descriptors.names import N_MFCC, SCALARS
from features.formats.audio import Samples

#: Frames whose spectra stay in the processor's second cache together.
_BLOCK: Final = 128
_HERTZ: Final = SAMPLE_RATE / N_FFT
_DECIBELS: Final = np.float32(10.0 / np.log(10.0))
_AMIN: Final = np.float32(1e-10)
_TOP_DB: Final = np.float32(80.0)

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Descriptors of t frames.

    Attributes
    ----------
    chroma
        Share of each pitch class in that of the strongest [shape=(12, t), float32].
    scalars
        Root mean square, centroid, bandwidth and rolloff in Hz, rate of zero crossings
        [shape=(5, t), float64].
    decibels
        Mel spectrogram after ``power_to_db(top_db=80)`` [shape=(128, t), float32].
    """

    chroma: Float32s
    scalars: Float64s
    decibels: Float32s


def means(y: Samples) -> Float32s:
    """Return the mean of each of `SEED_DESCRIPTORS` over time and pitch classes [shape=(25,)]."""
    frames = describe(y)
    scalars = np.delete(scalar_moments(frames)[:, 0], SCALARS.index("rms"))
    mfcc = (filter_banks().cosines * frames.decibels.mean(axis=1, dtype=np.float64)).sum(axis=1)
    return np.concatenate([scalars, mfcc]).astype(np.float32)


def means_and_variances(y: Samples) -> Float32s:
    """Return mean and population variance of each of `TABLE_DESCRIPTORS` [shape=(52,)]."""
    frames = describe(y)
    mfcc = cepstrum(frames.decibels, filter_banks().cosines)
    return np.concatenate([scalar_moments(frames), moments(mfcc)]).astype(np.float32).ravel()


def scalar_moments(frames: Descriptors) -> Float64s:
    """Return mean and variance of all that is no MFCC, over time and pitch classes."""
    chroma = frames.chroma.astype(np.float64).reshape(1, -1)
    return np.concatenate([moments(chroma), moments(frames.scalars)])


def moments(rows: Float64s) -> Float64s:
    """Return mean and population variance of each row [shape=(rows, 2)]."""
    from features.descriptors import kernels

    result = np.empty((len(rows), 2))
    kernels.moments(rows, result)
    return result


def describe(y: Samples) -> Descriptors:
    """Compute every descriptor of every frame.

    Parameters
    ----------
    y
        Samples at 22 050 Hz [shape=(n,)], at least 2048.
    """
    from features.descriptors import kernels, transform

    y = np.require(y, np.float32, ["C", "A"])
    banks = filter_banks()
    hops = y[: len(y) // HOP_LENGTH * HOP_LENGTH].reshape(-1, HOP_LENGTH)
    count = len(hops) - transform.OVERLAP
    scalars = np.empty((5, count))
    chroma = np.zeros((N_CHROMA, count), np.float32)
    mel = np.zeros((N_MELS, count), np.float32)
    kernels.waveform(hops, scalars[0], scalars[4])
    for first in range(0, count, _BLOCK):
        S, shape = spectra(hops[first : first + _BLOCK + transform.OVERLAP], banks)
        scalars[1:4, first : first + _BLOCK] = shape
        kernels.chroma(S, banks.chroma, first, chroma)
        kernels.mel(S, banks.mel, banks.mel_edges, first, mel)
    return Descriptors(chroma, scalars, decibels(mel))


def spectra(hops: Float32s, banks: FilterBanks) -> tuple[Float32s, Float64s]:
    """Transform frames in the precision that each needs.

    Parameters
    ----------
    hops
        Samples [shape=(frames + 3, 512)].
    banks
        The windows.

    Returns
    -------
    S
        Magnitudes [shape=(1025, frames)].
    shape
        Centroid, bandwidth and rolloff in Hz [shape=(3, frames)].
    """
    from features.descriptors import transform

    S = transform.magnitudes(hops, banks.window32)
    shape, noisy = spectral_shape(S)
    if len(noisy):
        frames = sliding_window_view(hops.ravel(), N_FFT)[::HOP_LENGTH]
        noisy = noisy[frames[noisy].any(axis=1)]
    if len(noisy):
        exact = magnitudes(frames[noisy], banks.window)
        S[:, noisy] = exact
        shape[:, noisy], _ = spectral_shape(exact)
    return S, shape


def magnitudes(frames: Float32s, window: Float64s) -> Float32s:
    """Return the magnitudes of the frames' spectra by way of float64 [shape=(1025, frames)]."""
    import scipy.fft  # takes a third of a second to import, and most music never needs it

    spectrum = scipy.fft.rfft((frames * window).T, axis=0, overwrite_x=True)
    S: Float32s = np.abs(spectrum.astype(np.complex64))
    return S


def spectral_shape(S: Float32s) -> tuple[Float64s, NDArray[np.intp]]:
    """Compute the shape of each spectrum.

    Parameters
    ----------
    S
        Magnitudes [shape=(1025, frames)].

    Returns
    -------
    shape
        Centroid, bandwidth and rolloff in Hz [shape=(3, frames)].
    noisy
        Numbers of the frames that float32 does not describe well enough, silent ones among them.
    """
    from features.descriptors import kernels

    shape = np.empty((3, S.shape[1]))
    noisy = np.empty(S.shape[1], np.bool_)
    kernels.spectral_shape(S, shape, noisy)
    return _HERTZ * shape, np.flatnonzero(noisy)


def decibels(mel: Float32s) -> Float32s:
    """Convert power to decibels in place, as ``librosa.power_to_db(top_db=80)``.

    By the natural logarithm: numpy has that one in the processor's lanes.
    """
    np.log(np.maximum(mel, _AMIN, out=mel), out=mel)
    np.multiply(mel, _DECIBELS, out=mel)
    np.maximum(mel, mel.max() - _TOP_DB, out=mel)
    return mel


def cepstrum(decibels: Float32s, cosines: Float64s) -> Float64s:
    """Return MFCCs [shape=(20, t)] of a mel spectrogram [shape=(128, t)]."""
    from features.descriptors import kernels

    mfcc = np.zeros((N_MFCC, decibels.shape[1]))
    kernels.cosine_transform(decibels, cosines, mfcc)
    return mfcc
