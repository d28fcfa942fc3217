"""Power spectra of frames of 512 samples, and mel bands of them: compiled, in float32.

As `features.descriptors.transform`, which transforms frames of 2048: frames lie side by side, one a
lane, and the 512 samples of a frame are one complex transform of half as many (Press et al.,
Numerical Recipes, 12.3), done in stages of constant geometry (Pease, 1968). The stage stands in
both modules: numba's cache does not see a change of what is called in another file.
"""

from functools import cache
from typing import Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from features.compiled import ROW, ROWS, Float32s, kernel

N_FFT: Final = 512
#: Bins that differ in a real spectrum.
N_BINS: Final = N_FFT // 2 + 1
#: Frames side by side.
LANES: Final = 16
#: Length of the complex transform: 4 ** 4.
_N: Final = N_FFT // 2
_STAGES: Final = 4
#: From a row of lanes to the one that joins it in a butterfly, and from real to imaginary parts.
_FAR: Final = _N // 4 * LANES
_PLANE: Final = _N * LANES
#: Bins that are added up at a time, and rows for it behind the last bin.
STEP: Final = 4
_ROWS: Final = N_BINS + STEP - 1
_QUARTER: Final = np.float32(0.25)
_ONE: Final = np.float32(1.0)

_WORK: Final = types.float32[::1]
_OUT: Final = types.float32[:, ::1]
_STARTS: Final = types.Array(types.int64, 1, "C", readonly=True)
_EDGES: Final = types.Array(types.int64, 2, "C", readonly=True)

#: Of a float32: the bits of its mantissa, and the square root of one half, from which on the
#: mantissa counts. The rest is logf of Moshier's Cephes library.
_MANTISSA: Final = np.int32(0x007FFFFF)
_ROOT_HALF: Final = np.int32(0x3F3504F3)
_EXPONENT: Final = np.int32(23)
_LOG10_2: Final = np.float32(0.301029995663981195)
_LOG10_E: Final = np.float32(0.434294481903251828)
_HALF: Final = np.float32(0.5)
_P0: Final = np.float32(7.0376836292e-2)
_P1: Final = np.float32(-1.1514610310e-1)
_P2: Final = np.float32(1.1676998740e-1)
_P3: Final = np.float32(-1.2420140846e-1)
_P4: Final = np.float32(1.4249322787e-1)
_P5: Final = np.float32(-1.6668057665e-1)
_P6: Final = np.float32(2.0000714765e-1)
_P7: Final = np.float32(-2.4999993993e-1)
_P8: Final = np.float32(3.3333331174e-1)


@cache
def roots() -> NDArray[np.float32]:
    """Return real and imaginary part of exp(-2 pi i k / 512) [shape=(2, 512), float32]."""
    values = np.exp(-2j * np.pi * np.arange(N_FFT) / N_FFT)
    return np.array([values.real, values.imag], np.float32)


@cache
def order() -> NDArray[np.int64]:
    """Return where the stages leave each bin: its base-4 digits reversed [shape=(256,)]."""
    return np.arange(_N).reshape((4,) * _STAGES).transpose().ravel()


@cache
def hann() -> NDArray[np.float32]:
    """Return the periodic Hann window [shape=(512,), float32]."""
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)


def mirrored(y: Float32s) -> Float32s:
    """Return samples [shape=(n,)] with half a frame before them, mirrored [shape=(n + 256,)]."""
    half = N_FFT // 2
    result = np.empty(half + len(y), np.float32)
    result[half:] = y
    result[:half] = result[2 * half : half : -1]
    return result


@kernel(_WORK, types.int64, ROWS, _WORK)
def radix4(z: Float32s, stage: int, roots: Float32s, out: Float32s) -> None:
    """Do one stage of Pease's transform, whose addresses are the same in every stage.

    Parameters
    ----------
    z
        Input, real parts before imaginary ones [shape=(2 * 256 * LANES,)].
    stage
        Number of the stage, from 0.
    roots
        `roots`.
    out
        The result, of the same shape; after the last stage in the order of `order`.
    """
    for i in range(_N // 4):
        step = 2 * (i >> (2 * stage) << (2 * stage))
        ur, ui = roots[0, step], roots[1, step]
        vr, vi = roots[0, 2 * step], roots[1, 2 * step]
        wr, wi = roots[0, 3 * step], roots[1, 3 * step]
        for t in range(LANES):
            j, o = i * LANES + t, 4 * i * LANES + t
            ar, ai = z[j], z[j + _PLANE]
            br, bi = z[j + _FAR], z[j + _FAR + _PLANE]
            cr, ci = z[j + 2 * _FAR], z[j + 2 * _FAR + _PLANE]
            dr, di = z[j + 3 * _FAR], z[j + 3 * _FAR + _PLANE]
            er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
            gr, gi, hr, hi = br + dr, bi + di, bi - di, dr - br
            out[o], out[o + _PLANE] = er + gr, ei + gi
            xr, xi = fr + hr, fi + hi
            out[o + LANES] = xr * ur - xi * ui
            out[o + LANES + _PLANE] = xr * ui + xi * ur
            xr, xi = er - gr, ei - gi
            out[o + 2 * LANES] = xr * vr - xi * vi
            out[o + 2 * LANES + _PLANE] = xr * vi + xi * vr
            xr, xi = fr - hr, fi - hi
            out[o + 3 * LANES] = xr * wr - xi * wi
            out[o + 3 * LANES + _PLANE] = xr * wi + xi * wr


@kernel(ROW, _STARTS, types.int64, ROW, ROWS, _STARTS, _WORK, _WORK, _OUT)
def transform(
    y: Float32s,
    starts: NDArray[np.int64],
    first: int,
    window: Float32s,
    roots: Float32s,
    order: NDArray[np.int64],
    z: Float32s,
    other: Float32s,
    P: Float32s,
) -> None:
    """Compute the power spectra of `LANES` frames, or of as many as are left.

    Parameters
    ----------
    y
        Samples [shape=(n,)].
    starts
        Where each frame begins [shape=(frames,)].
    first
        Number of the first of these frames.
    window
        Window [shape=(512,)].
    roots, order
        As the functions of these names return.
    z, other
        To work in, finite: lanes without a frame are transformed, too, for nothing
        [shape=(2 * 256 * LANES,)].
    P
        The result [shape=(257 or more, LANES)].
    """
    for t in range(min(LANES, starts.shape[0] - first)):
        start = starts[first + t]
        for n in range(_N):
            z[n * LANES + t] = window[2 * n] * y[start + 2 * n]
            z[n * LANES + t + _PLANE] = window[2 * n + 1] * y[start + 2 * n + 1]
    for stage in range(0, _STAGES, 2):
        radix4(z, stage, roots, other)
        radix4(other, stage + 1, roots, z)
    Z = z.reshape(2 * _N, LANES)
    for k in range(N_BINS):
        wr, wi = roots[0, k], roots[1, k]
        a, b = order[k % _N], order[(_N - k) % _N]
        for t in range(LANES):
            ar, ai, br, bi = Z[a, t], Z[a + _N, t], Z[b, t], Z[b + _N, t]
            fr, fi = ai + bi, br - ar
            xr = ar + br + (fr * wr - fi * wi)
            xi = ai - bi + (fr * wi + fi * wr)
            P[k, t] = _QUARTER * (xr * xr + xi * xi)


@kernel(ROW, _STARTS, ROW, ROWS, _STARTS, _OUT)
def power(
    y: Float32s,
    starts: NDArray[np.int64],
    window: Float32s,
    roots: Float32s,
    order: NDArray[np.int64],
    out: Float32s,
) -> None:
    """Compute power spectra.

    Parameters
    ----------
    y, starts, window, roots, order
        As `transform` takes them.
    out
        The result [shape=(frames, 257)].
    """
    z, other = np.zeros(2 * _PLANE, np.float32), np.empty(2 * _PLANE, np.float32)
    P = np.empty((N_BINS, LANES), np.float32)
    for first in range(0, out.shape[0], LANES):
        transform(y, starts, first, window, roots, order, z, other, P)
        for t in range(min(LANES, out.shape[0] - first)):
            for k in range(N_BINS):
                out[first + t, k] = P[k, t]


@kernel(types.float32[::1], types.int32[::1], _WORK)
def log10(x: Float32s, bits: NDArray[np.int32], out: Float32s) -> None:
    """Compute logarithms, to 2e-7 of them, where a library would do so one by one.

    Parameters
    ----------
    x
        Numbers that are not small [shape=(n,)]; spoilt.
    bits
        The same memory.
    out
        The result [shape=(n,)].
    """
    for i in range(x.shape[0]):
        above = bits[i] - _ROOT_HALF
        out[i] = np.float32(above >> _EXPONENT)
        bits[i] = (above & _MANTISSA) + _ROOT_HALF
    for i in range(x.shape[0]):
        f = x[i] - _ONE
        p = ((((_P0 * f + _P1) * f + _P2) * f + _P3) * f + _P4) * f + _P5
        p = ((p * f + _P6) * f + _P7) * f + _P8
        square = f * f
        out[i] = (f + (p * f * square - _HALF * square)) * _LOG10_E + out[i] * _LOG10_2


@kernel(ROW, _STARTS, ROW, ROWS, _STARTS, ROWS, _EDGES, types.float32, _OUT)
def log_mel(
    y: Float32s,
    starts: NDArray[np.int64],
    window: Float32s,
    roots: Float32s,
    order: NDArray[np.int64],
    weights: Float32s,
    edges: NDArray[np.int64],
    gain: float,
    out: Float32s,
) -> None:
    """Compute log10(1 + gain * power) of bands.

    Parameters
    ----------
    y, starts, window, roots, order
        As `transform` takes them.
    weights
        Of each bin in each band, with three columns of zeros behind [shape=(bands, 260)].
    edges
        First bin of each band and the one behind its last [shape=(bands, 2)].
    gain
        What power is multiplied by.
    out
        The result [shape=(frames, bands)].
    """
    bands = weights.shape[0]
    z, other = np.zeros(2 * _PLANE, np.float32), np.empty(2 * _PLANE, np.float32)
    P = np.zeros((_ROWS, LANES), np.float32)
    M, logs = np.empty((bands, LANES), np.float32), np.empty((bands, LANES), np.float32)
    flat = M.reshape(-1)
    bits = flat.view(np.int32)
    for first in range(0, out.shape[0], LANES):
        transform(y, starts, first, window, roots, order, z, other, P)
        for band in range(bands):
            for t in range(LANES):
                M[band, t] = _ONE
            for k in range(edges[band, 0], edges[band, 1], STEP):
                u, v = gain * weights[band, k], gain * weights[band, k + 1]
                w, x = gain * weights[band, k + 2], gain * weights[band, k + 3]
                for t in range(LANES):
                    M[band, t] += u * P[k, t] + v * P[k + 1, t] + w * P[k + 2, t] + x * P[k + 3, t]
        log10(flat, bits, logs.reshape(-1))
        for t in range(min(LANES, out.shape[0] - first)):
            for band in range(bands):
                out[first + t, band] = logs[band, t]
