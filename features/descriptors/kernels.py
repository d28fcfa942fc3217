"""Compiled loops over a block of STFT frames.

Spectra are laid out [shape=(bins, frames)], so that the innermost loops over them run over frames:
the processor handles 8 or 16 frames at a time, and each frame is still added up in a fixed order. A
result depends on nothing but the samples: not on threads, nor on alignment.
"""

from typing import Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from features.compiled import ROW, ROWS, Float32s, Float64s, kernel

#: Bins added up in float32 before they are added to a sum in float64; divides 1025.
_STEP: Final = 5
_ZERO: Final = np.float32(0.0)
_ONE: Final = np.float32(1.0)
_TWO: Final = np.float32(2.0)
_THREE: Final = np.float32(3.0)
_FOUR: Final = np.float32(4.0)
#: Samples up to it count as 0 in zero crossings, as in librosa.
_SILENCE: Final = np.float32(1e-10)
#: Sums below it count as 0, as in librosa.
_TINY: Final = np.finfo(np.float32).tiny
_ROLL_PERCENT: Final = np.float32(0.85)
#: Rounding noise in a bin of a float32 transform, relative to the root mean square of all bins.
_NOISE: Final = 2.2 * 2.0**-24
#: Added to it, so that a silent bin's share in the bias is finite.
_LEAST_NOISE: Final = 1e-20
#: Frames with less than this sum of magnitudes, 180 dB below full scale, need float64 too.
_FAINT: Final = 1e-6
#: Noise may change a squared bandwidth by this share.
_TOLERANCE: Final = 4e-5


@kernel(ROWS, types.float64[::1], types.float64[::1], reorder=True)
def hop_sums(hops: Float32s, energy: Float64s, crossings: Float64s) -> None:
    """Sum squares and count zero crossings inside of each hop.

    A crossing is a change of the sign bit between neighbours, after samples within 1e-10 became 0
    (``librosa.zero_crossings``).

    Parameters
    ----------
    hops
        Samples [shape=(hops, hop_length)].
    energy, crossings
        The result [shape=(hops,)].
    """
    for hop in range(hops.shape[0]):
        squares = _ZERO
        for i in range(hops.shape[1]):
            squares += hops[hop, i] * hops[hop, i]
        count = np.int32(0)
        for i in range(hops.shape[1] - 1):
            count += np.int32((hops[hop, i] < -_SILENCE) != (hops[hop, i + 1] < -_SILENCE))
        energy[hop] = squares
        crossings[hop] = count


@kernel(ROWS, types.float64[::1], types.float64[::1])
def waveform(hops: Float32s, rms: Float64s, crossing_rate: Float64s) -> None:
    """Compute what is taken of the samples themselves, of frames of four hops.

    Follows ``librosa.feature.rms`` and ``zero_crossing_rate``: the samples without a window, and
    no crossing at the first sample of a frame.

    Parameters
    ----------
    hops
        Samples [shape=(frames + 3, hop_length)].
    rms, crossing_rate
        The result, the crossings as a share of the samples [shape=(frames,)].
    """
    energy, crossings = np.empty(hops.shape[0]), np.empty(hops.shape[0])
    hop_sums(hops, energy, crossings)
    across = np.zeros(hops.shape[0])
    for hop in range(hops.shape[0] - 1):
        last, first = hops[hop, hops.shape[1] - 1], hops[hop + 1, 0]
        across[hop] = np.int32((last < -_SILENCE) != (first < -_SILENCE))
    samples = 4 * hops.shape[1]
    for t in range(rms.shape[0]):
        squares = energy[t] + energy[t + 1] + energy[t + 2] + energy[t + 3]
        inside = crossings[t] + crossings[t + 1] + crossings[t + 2] + crossings[t + 3]
        rms[t] = np.sqrt(squares / samples)
        crossing_rate[t] = (inside + across[t] + across[t + 1] + across[t + 2]) / samples


@kernel(ROWS, types.float64[::1], types.float64[::1], types.float64[::1], types.float32[::1])
def first_moments(
    S: Float32s, total: Float64s, weighted: Float64s, squares: Float64s, running: Float32s
) -> None:
    """Add up what the centroid and the rolloff of each frame need.

    Parameters
    ----------
    S
        Magnitudes [shape=(bins, frames)].
    total, weighted, squares
        Zeros, become the sums of magnitudes, of magnitudes weighted by their bin's number, and of
        squared magnitudes [shape=(frames,)].
    running
        Zeros, become the sum bin by bin in float32, as ``np.cumsum`` adds [shape=(frames,)].
    """
    for k in range(0, S.shape[0], _STEP):
        for t in range(S.shape[1]):
            a, b, c, d, e = S[k, t], S[k + 1, t], S[k + 2, t], S[k + 3, t], S[k + 4, t]
            part = np.float64(a + b + c + d + e)
            total[t] += part
            weighted[t] += k * part + np.float64(b + _TWO * c + _THREE * d + _FOUR * e)
            squares[t] += np.float64(a * a + b * b + c * c + d * d + e * e)
            running[t] = running[t] + a + b + c + d + e


@kernel(
    ROWS,
    ROW,
    ROW,
    ROW,
    types.float32[::1],
    types.float64[::1],
    types.float64[::1],
    types.float32[::1],
)
def second_moments(
    S: Float32s,
    centroid: Float32s,
    noise: Float32s,
    threshold: Float32s,
    running: Float32s,
    spread: Float64s,
    bias: Float64s,
    below: Float32s,
) -> None:
    """Add up squared deviations from the centroid; count the bins below the rolloff.

    Parameters
    ----------
    S
        Magnitudes [shape=(bins, frames)].
    centroid
        In bins [shape=(frames,)].
    noise
        Root mean square of the complex rounding noise in a bin [shape=(frames,)].
    threshold
        That the running sum of magnitudes reaches at the rolloff [shape=(frames,)].
    running
        Zeros, become the running sum [shape=(frames,)].
    spread, below
        Zeros, become the result [shape=(frames,)].
    bias
        Zeros; times squared noise, it becomes what noise adds to `spread`: by Rice's distribution
        it lengthens a magnitude much above it by noise² / 4 S, and one of 0 by 0.89 noise
        [shape=(frames,)].
    """
    for k in range(0, S.shape[0], _STEP):
        for t in range(S.shape[1]):
            x = np.float32(k) - centroid[t]
            part, extra, r, limit, n = _ZERO, _ZERO, running[t], threshold[t], noise[t]
            for j in range(_STEP):
                magnitude = S[k + j, t]
                part += magnitude * (x * x)
                extra += x * x / (_FOUR * magnitude + n)
                x += _ONE
                r += magnitude
                below[t] += np.float32(r < limit)
            spread[t] += np.float64(part)
            bias[t] += np.float64(extra)
            running[t] = r


@kernel(ROWS, types.float64[:, ::1], types.boolean[::1])
def spectral_shape(S: Float32s, shape: Float64s, noisy: NDArray[np.bool_]) -> None:
    """Compute the shape of each spectrum and find those that rounding noise distorts.

    Follows ``librosa.feature.spectral_centroid``, ``spectral_bandwidth`` and ``spectral_rolloff``.

    Parameters
    ----------
    S
        Magnitudes [shape=(bins, frames)].
    shape
        Becomes centroid, bandwidth and rolloff, in bins [shape=(3, frames)].
    noisy
        Becomes whether float32 does not describe a frame well enough, as where it is silent
        [shape=(frames,)].
    """
    count = S.shape[1]
    total, weighted, squares = np.zeros(count), np.zeros(count), np.zeros(count)
    running = np.zeros(count, np.float32)
    first_moments(S, total, weighted, squares, running)
    centroid, noise = np.empty(count, np.float32), np.empty(count, np.float32)
    threshold = np.empty(count, np.float32)
    for t in range(count):
        shape[0, t] = weighted[t] / (_ONE if total[t] < _TINY else total[t])
        centroid[t] = shape[0, t]
        noise[t] = _NOISE * np.sqrt(squares[t] / S.shape[0]) + _LEAST_NOISE
        threshold[t] = _ROLL_PERCENT * running[t]
    spread, bias = np.zeros(count), np.zeros(count)
    again, below = np.zeros(count, np.float32), np.zeros(count, np.float32)
    second_moments(S, centroid, noise, threshold, again, spread, bias, below)
    for t in range(count):
        shape[1, t] = np.sqrt(spread[t] / (_ONE if total[t] < _TINY else total[t]))
        shape[2, t] = below[t]
        power = np.float64(noise[t]) * np.float64(noise[t])
        noisy[t] = power * bias[t] > _TOLERANCE * spread[t] or total[t] < _FAINT


@kernel(ROWS, ROWS, types.uint64, types.float32[:, ::1])
def chroma(S: Float32s, weights: Float32s, first: int, out: Float32s) -> None:
    """Sum power into pitch classes, and divide by the largest of each frame.

    As ``librosa.util.normalize(norm=inf)`` does.

    Parameters
    ----------
    S
        Magnitudes [shape=(bins, frames)].
    weights
        Filter bank [shape=(classes, bins)].
    first
        Column of the first frame in `out`.
    out
        Zeros, become the result [shape=(classes, more frames)].
    """
    count = np.uint64(S.shape[1])  # unsigned, like `first`: numba wraps signed indices around
    for k in range(0, S.shape[0], _STEP):
        for c in range(weights.shape[0]):
            u, v, w, x = weights[c, k], weights[c, k + 1], weights[c, k + 2], weights[c, k + 3]
            z = weights[c, k + 4]
            if u + v + w + x + z == _ZERO:
                continue
            for t in range(count):
                out[c, first + t] += (
                    u * S[k, t] * S[k, t]
                    + v * S[k + 1, t] * S[k + 1, t]
                    + w * S[k + 2, t] * S[k + 2, t]
                    + x * S[k + 3, t] * S[k + 3, t]
                    + z * S[k + 4, t] * S[k + 4, t]
                )
    for t in range(count):
        largest = _ZERO
        for c in range(weights.shape[0]):
            largest = max(largest, out[c, first + t])
        length = _ONE if largest < _TINY else largest
        for c in range(weights.shape[0]):
            out[c, first + t] /= length


@kernel(
    ROWS,
    ROWS,
    types.Array(types.int64, 2, "C", readonly=True),
    types.uint64,
    types.float32[:, ::1],
)
def mel(
    S: Float32s, weights: Float32s, edges: NDArray[np.int64], first: int, out: Float32s
) -> None:
    """Sum power into mel bands.

    Parameters
    ----------
    S
        Magnitudes [shape=(bins, frames)].
    weights
        Filter bank [shape=(bands, bins)].
    edges
        First bin of each band and the one behind its last [shape=(bands, 2)].
    first
        Column of the first frame in `out`.
    out
        Zeros, become the result [shape=(bands, more frames)].
    """
    count = np.uint64(S.shape[1])
    for band in range(weights.shape[0]):
        for k in range(edges[band, 0], edges[band, 1]):
            weight = weights[band, k]
            for t in range(count):
                out[band, first + t] += weight * (S[k, t] * S[k, t])


@kernel(ROWS, types.Array(types.float64, 2, "C", readonly=True), types.float64[:, ::1])
def cosine_transform(rows: Float32s, cosines: Float64s, out: Float64s) -> None:
    """Multiply by a matrix in float64, so that a flat spectrum leaves nothing in the others.

    Parameters
    ----------
    rows
        Decibels [shape=(bands, frames)]; a multiple of 4 bands.
    cosines
        Matrix [shape=(coefficients, bands)].
    out
        Zeros, become the product [shape=(coefficients, frames)].
    """
    for c in range(cosines.shape[0]):
        for k in range(0, cosines.shape[1], 4):
            u, v, w, x = cosines[c, k], cosines[c, k + 1], cosines[c, k + 2], cosines[c, k + 3]
            for t in range(rows.shape[1]):
                out[c, t] += (
                    u * rows[k, t] + v * rows[k + 1, t] + w * rows[k + 2, t] + x * rows[k + 3, t]
                )


@kernel(types.Array(types.float64, 2, "C", readonly=True), types.float64[:, ::1], reorder=True)
def moments(rows: Float64s, out: Float64s) -> None:
    """Compute mean and population variance of each row.

    Parameters
    ----------
    rows
        Values [shape=(rows, n)].
    out
        The result [shape=(rows, 2)].
    """
    for row in range(rows.shape[0]):
        total, squares = 0.0, 0.0
        for t in range(rows.shape[1]):
            total += rows[row, t]
        mean = total / rows.shape[1]
        for t in range(rows.shape[1]):
            squares += (rows[row, t] - mean) * (rows[row, t] - mean)
        out[row, 0], out[row, 1] = mean, squares / rows.shape[1]
