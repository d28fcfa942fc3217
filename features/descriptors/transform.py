"""Magnitude spectra of many frames at a time: a compiled real Fourier transform in float32.

A library transforms one frame after another and uses the processor's lanes inside of it. These
kernels transform frames side by side, one a lane, which needs no shuffling: every instruction works
on 8 or 16 frames, and what comes out is laid out as the other kernels read it. With the window and
the magnitudes it costs less than scipy's transform alone.

The even and odd samples of a frame are the real and imaginary parts of one complex transform of
half the length (Press et al., Numerical Recipes, 12.3), done in five stages of constant geometry
(Pease, 1968).
"""

from functools import cache
from typing import Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from features.compiled import ROW, ROWS, Float32s, kernel
from features.descriptors.filter_banks import HOP_LENGTH, N_BINS, N_FFT

#: Hops that a frame shares with the next one.
OVERLAP: Final = N_FFT // HOP_LENGTH - 1
#: Frames side by side.
LANES: Final = 32
#: Length of the complex transform that a real one of twice its length is packed into: 4 ** 5.
_N: Final = N_FFT // 2
_STAGES: Final = 5
#: From a row of lanes to the one that joins it in a butterfly, and from real to imaginary parts.
_FAR: Final = _N // 4 * LANES
_PLANE: Final = _N * LANES

_WORK: Final = types.float32[::1]
_ORDER: Final = types.Array(types.int64, 1, "C", readonly=True)
_HALF: Final = np.float32(0.5)


@cache
def roots() -> NDArray[np.float32]:
    """Return real and imaginary part of exp(-2 pi i k / 2048) [shape=(2, 2048), float32]."""
    values = np.exp(-2j * np.pi * np.arange(N_FFT) / N_FFT)
    return np.array([values.real, values.imag], np.float32)


@cache
def order() -> NDArray[np.int64]:
    """Return where the stages leave each bin: its base-4 digits reversed [shape=(1024,)]."""
    return np.arange(_N).reshape((4,) * _STAGES).transpose().ravel()


@kernel(ROWS, ROW, types.float32[:, ::1], _WORK)
def pack(hops: Float32s, window: Float32s, turned: Float32s, z: Float32s) -> None:
    """Multiply frames by the window; even samples become real parts, odd ones imaginary.

    Parameters
    ----------
    hops
        Samples of at most `LANES` frames [shape=(frames + 3, 512)]; a frame is four hops.
    window
        Window [shape=(2048,)].
    turned
        To work in, finite: the columns behind those of the hops are transformed, too, for nothing
        [shape=(512, LANES + 3)].
    z
        The result, real parts before imaginary ones [shape=(2 * 1024 * LANES,)].
    """
    for hop in range(hops.shape[0]):
        for i in range(HOP_LENGTH):
            turned[i, hop] = hops[hop, i]
    half = HOP_LENGTH // 2
    for n in range(_N):
        quarter, i = n // half, n % half
        even, odd = window[2 * n], window[2 * n + 1]
        for t in range(LANES):
            z[n * LANES + t] = even * turned[2 * i, quarter + t]
            z[n * LANES + t + _PLANE] = odd * turned[2 * i + 1, quarter + t]


@kernel(_WORK, types.int64, ROWS, _WORK)
def radix4(z: Float32s, stage: int, roots: Float32s, out: Float32s) -> None:
    """Do one stage of Pease's transform, whose addresses are the same in every stage.

    They are constants of the program, so the compiler sees that nothing overlaps.

    Parameters
    ----------
    z
        Input [shape=(2 * 1024 * LANES,)].
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


@kernel(
    ROWS,
    ROWS,
    _ORDER,
    types.uint64,
    types.uint64,
    types.float32[:, ::1],
)
def unpack(
    z: Float32s, roots: Float32s, order: NDArray[np.int64], first: int, count: int, S: Float32s
) -> None:
    """Separate the spectra of even and odd samples, join them and take magnitudes.

    Parameters
    ----------
    z
        Complex spectra of packed frames [shape=(2 * 1024, LANES)].
    roots, order
        As the functions of these names return.
    first, count
        Column of the first frame in `S`, and how many frames there are.
    S
        The result [shape=(1025, frames)].
    """
    for k in range(_N + 1):
        wr, wi = roots[0, k], roots[1, k]
        a, b = order[k % _N], order[(_N - k) % _N]
        for t in range(count):
            ar, ai, br, bi = z[a, t], z[a + _N, t], z[b, t], z[b + _N, t]
            fr, fi = ai + bi, br - ar
            xr = ar + br + (fr * wr - fi * wi)
            xi = ai - bi + (fr * wi + fi * wr)
            S[k, first + t] = _HALF * np.sqrt(xr * xr + xi * xi)


@kernel(ROWS, ROW, ROWS, _ORDER, types.float32[:, ::1])
def transform(
    hops: Float32s, window: Float32s, roots: Float32s, order: NDArray[np.int64], S: Float32s
) -> None:
    """Compute the magnitudes of the spectra of overlapping frames, `LANES` of them at a time.

    Parameters
    ----------
    hops
        Samples [shape=(frames + 3, 512)]; a frame is four hops.
    window
        Window [shape=(2048,)].
    roots, order
        As the functions of these names return.
    S
        The result [shape=(1025, frames)].
    """
    turned = np.zeros((HOP_LENGTH, LANES + OVERLAP), np.float32)
    z, other = np.empty(2 * _PLANE, np.float32), np.empty(2 * _PLANE, np.float32)
    for first in range(0, S.shape[1], LANES):
        count = min(LANES, S.shape[1] - first)
        pack(hops[first : first + count + OVERLAP], window, turned, z)
        for stage in range(_STAGES):
            radix4(z, stage, roots, other)
            z, other = other, z
        unpack(z.reshape(2 * _N, LANES), roots, order, first, count, S)


def magnitudes(hops: Float32s, window: Float32s) -> Float32s:
    """Return what `transform` makes of hops and a window [shape=(1025, frames)].

    Magnitudes below 1e-19 come out as 0, because their squares do.
    """
    S = np.empty((N_BINS, len(hops) - OVERLAP), np.float32)
    transform(hops, window, roots(), order(), S)
    return S
