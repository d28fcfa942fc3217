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

from features.decode import Samples
from features.filter_banks import (
    HOP_LENGTH,
    N_BINS,
    N_CHROMA,
    N_FFT,
    N_MELS,
    N_MFCC,
    SAMPLE_RATE,
    FilterBanks,
    filter_banks,
)

_MFCCS: Final = tuple(f"mfcc{i}" for i in range(1, N_MFCC + 1))
#: Descriptors that are one number a frame or pitch class.
_SEED_SCALARS: Final = (
    "chroma_stft",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
)
_TABLE_SCALARS: Final = ("chroma_stft", "rms", *_SEED_SCALARS[1:])
#: The 25 descriptors of the study.
SEED_DESCRIPTORS: Final = (*_SEED_SCALARS, *_MFCCS)
#: The descriptors of the public 30 s table, in its column order.
TABLE_DESCRIPTORS: Final = (*_TABLE_SCALARS, *_MFCCS)

#: Frames whose spectra stay in the processor's second cache together.
_BLOCK: Final = 128
#: Rounding noise in a bin of a float32 transform, relative to the root mean square of all bins.
_NOISE: Final = 2.2 * 2.0**-24
#: Added to it, so that a silent bin's share in the bias is finite.
_LEAST_NOISE: Final = 1e-20
#: Frames with less than this sum of magnitudes, 180 dB below full scale, need float64 too.
_FAINT: Final = 1e-6
#: Noise may change a squared bandwidth by this share.
_TOLERANCE: Final = 4e-5
_TINY: Final = float(np.finfo(np.float32).tiny)
_HERTZ: Final = SAMPLE_RATE / N_FFT
_ROLL_PERCENT: Final = np.float32(0.85)
_AMIN: Final = np.float32(1e-10)
_TOP_DB: Final = np.float32(80.0)

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Descriptors of t frames.

    Attributes
    ----------
    scalars
        By name: ``chroma_stft`` [shape=(12, t)], the others [shape=(t,)].
    decibels
        Mel spectrogram after ``power_to_db(top_db=80)`` [shape=(128, t)].
    """

    scalars: dict[str, Float32s | Float64s]
    decibels: Float32s


def means(y: Samples) -> Float32s:
    """Return the mean of each of `SEED_DESCRIPTORS` over time and pitch classes [shape=(25,)]."""
    frames = describe(y)
    scalars = [frames.scalars[name].mean(dtype=np.float64) for name in _SEED_SCALARS]
    mfcc = (filter_banks().cosines * frames.decibels.mean(axis=1, dtype=np.float64)).sum(axis=1)
    return np.array([*scalars, *mfcc], np.float32)


def means_and_variances(y: Samples) -> Float32s:
    """Return mean and population variance of each of `TABLE_DESCRIPTORS` [shape=(52,)]."""
    frames = describe(y)
    rows = [frames.scalars[name].ravel() for name in _TABLE_SCALARS]
    moments = [(row.mean(dtype=np.float64), row.var(dtype=np.float64)) for row in rows]
    mfcc = cepstrum(frames.decibels, filter_banks().cosines)
    moments += zip(mfcc.mean(axis=1), mfcc.var(axis=1), strict=True)
    return np.array(moments, np.float32).ravel()


def describe(y: Samples) -> Descriptors:
    """Compute every descriptor of every frame.

    Parameters
    ----------
    y
        Samples at 22 050 Hz [shape=(n,)], at least 2048.
    """
    from features import transform

    y = np.require(y, np.float32, ["C", "A"])
    banks = filter_banks()
    hops = y[: len(y) // HOP_LENGTH * HOP_LENGTH].reshape(-1, HOP_LENGTH)
    count = len(hops) - transform.OVERLAP
    shape = np.empty((3, count))
    chroma = np.empty((N_CHROMA, count), np.float32)
    mel = np.empty((N_MELS, count), np.float32)
    work = transform.workspace()
    for first in range(0, count, _BLOCK):
        block = slice(first, first + _BLOCK)
        S, shape[:, block] = spectra(hops[first : first + _BLOCK + transform.OVERLAP], banks, work)
        chroma[:, block], mel[:, block] = band_powers(S, banks)
    rms, crossing_rate = waveform(hops)
    scalars: dict[str, Float32s | Float64s] = {
        "chroma_stft": normalized(chroma),
        "rms": rms,
        "spectral_centroid": shape[0],
        "spectral_bandwidth": shape[1],
        "rolloff": shape[2],
        "zero_crossing_rate": crossing_rate,
    }
    return Descriptors(scalars, decibels(mel))


def spectra(hops: Float32s, banks: FilterBanks, work: Float32s) -> tuple[Float32s, Float64s]:
    """Transform frames in the precision that each needs.

    Parameters
    ----------
    hops
        Samples [shape=(frames + 3, 512)].
    banks
        The windows.
    work
        A `transform.workspace`.

    Returns
    -------
    S
        Magnitudes [shape=(1025, frames)].
    shape
        Centroid, bandwidth and rolloff in Hz [shape=(3, frames)].
    """
    from features import transform

    S = transform.magnitudes(hops, banks.window32, work)
    shape, noisy = spectral_shape(S)
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
    """Compute the shape of each spectrum and find those that rounding noise distorts.

    Follows ``librosa.feature.spectral_centroid``, ``spectral_bandwidth`` and ``spectral_rolloff``.

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
    from features import kernels

    count = S.shape[1]
    total, weighted, squares, spread, bias = np.zeros((5, count))
    running, again, below = np.zeros((3, count), np.float32)
    kernels.first_moments(S, total, weighted, squares, running)
    length = np.where(total < _TINY, 1.0, total)
    centroid = weighted / length
    noise = _NOISE * np.sqrt(squares / N_BINS) + _LEAST_NOISE
    kernels.second_moments(
        S,
        centroid.astype(np.float32),
        noise.astype(np.float32),
        _ROLL_PERCENT * running,
        again,
        spread,
        bias,
        below,
    )
    shape = _HERTZ * np.stack([centroid, np.sqrt(spread / length), below])
    noisy = (noise**2 * bias > _TOLERANCE * spread) | (total < _FAINT)
    return shape, np.flatnonzero(noisy)


def band_powers(S: Float32s, banks: FilterBanks) -> tuple[Float32s, Float32s]:
    """Sum power into pitch classes [shape=(12, frames)] and mel bands [shape=(128, frames)]."""
    from features import kernels

    count = S.shape[1]
    chroma = np.zeros((N_CHROMA, count), np.float32)
    mel = np.zeros((N_MELS, count), np.float32)
    kernels.chroma(S, banks.chroma, chroma)
    kernels.mel(S, banks.mel, banks.mel_edges, mel)
    return chroma, mel


def normalized(chroma: Float32s) -> Float32s:
    """Divide each column by its largest value, as ``librosa.util.normalize(norm=inf)``."""
    length = chroma.max(axis=0)
    length[length < _TINY] = 1
    scaled: Float32s = chroma / length
    return scaled


def waveform(hops: Float32s) -> tuple[Float64s, Float64s]:
    """Return root mean square and rate of zero crossings of each frame [shape=(t,) each].

    Follows ``librosa.feature.rms`` and ``zero_crossing_rate``: the samples without a window, and
    no crossing at the first sample of a frame.

    Parameters
    ----------
    hops
        Samples [shape=(t + 3, 512)]: a frame is four hops.
    """
    from features import kernels

    energy, crossings = np.empty((2, len(hops)))
    kernels.hop_sums(hops, energy, crossings)
    borders = (hops[:-1, -1] < -kernels.SILENCE) != (hops[1:, 0] < -kernels.SILENCE)
    ratio = N_FFT // HOP_LENGTH
    rms = np.sqrt(sliding_window_view(energy, ratio).sum(axis=1) / N_FFT)
    inside = sliding_window_view(crossings, ratio).sum(axis=1)
    across = sliding_window_view(borders, ratio - 1).sum(axis=1)
    return rms, (inside + across) / N_FFT


def decibels(mel: Float32s) -> Float32s:
    """Convert power to decibels in place, as ``librosa.power_to_db(top_db=80)``."""
    np.log10(np.maximum(mel, _AMIN, out=mel), out=mel)
    np.multiply(mel, np.float32(10.0), out=mel)
    np.maximum(mel, mel.max() - _TOP_DB, out=mel)
    return mel


def cepstrum(decibels: Float32s, cosines: Float64s) -> Float64s:
    """Return MFCCs [shape=(20, t)] of a mel spectrogram [shape=(128, t)]."""
    from features import kernels

    mfcc = np.zeros((N_MFCC, decibels.shape[1]))
    kernels.cosine_transform(decibels, cosines, mfcc)
    return mfcc
