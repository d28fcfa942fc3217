"""Resampling from 22.05 to 16 kHz: soxr's own filter (quality HQ), compiled.

A stream of 22.05 kHz, as receivers send it, spends a seventh of its time in soxr, which plans its
filter anew for each window. The filter is linear, and the same for every 441 samples that become
320; so all of it is known from what soxr makes of single impulses. What comes out differs from
soxr's by rounding, 2e-6 of full scale.

Blocks of 441 samples lie side by side, one a lane, as frames do in `features.embeddings.spectra`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import soxr
from numba import types
from numpy.typing import NDArray

from features.compiled import Float32s, kernel

#: What this is for, in Hz.
FROM: Final = 22_050
TO: Final = 16_000
#: Samples that go in and come out of a block.
IN: Final = FROM // 50
OUT: Final = TO // 50
#: Blocks side by side: a window of 3 s has 150.
LANES: Final = 160
#: Input samples before and behind the one at an output's time that it is made of. The filter goes
#: on, below 1e-6.
REACH: Final = 128
#: Outputs that are computed together from the same inputs, and inputs that are added at a time.
_TOGETHER: Final = 5
_STEP: Final = 4
#: Inputs of so many outputs, a multiple of `_STEP`.
_TAPS: Final = 264
#: The first outputs of soxr are made otherwise.
_FIRST: Final = 2
#: Blocks between impulses, whose responses must not meet.
_APART: Final = 4
#: Blocks before and behind, which a filter reaches into.
_AROUND: Final = 1
#: Samples of a block that are laid out together; divides 441.
_NEAR: Final = 21
#: A row of the samples at one place in each block; more than it needs, so that rows do not lie at
#: a distance of a power of 2.
_WIDTH: Final = LANES + 2 * _AROUND + 14


@dataclass(frozen=True, slots=True)
class Filter:
    """soxr's filter.

    Attributes
    ----------
    begins
        Of each five outputs, which input of the block before they begin with [shape=(64,)].
    taps
        What the inputs from there are multiplied by [shape=(64, 264, 5), float32].
    first
        Likewise of the first outputs of all, from the first input on [shape=(2, 264), float32].
    """

    begins: NDArray[np.int64]
    taps: Float32s
    first: Float32s


@cache
def soxr_filter() -> Filter:
    """Measure the filter."""
    begins = np.arange(0, OUT, _TOGETHER) * IN // OUT + IN * _AROUND - REACH
    centres = np.arange(-OUT, 2 * OUT) * IN // OUT
    # Which tap of its group an output's response to the input i of block 0 is: [i, output].
    group = np.arange(-OUT, 2 * OUT) % OUT // _TOGETHER
    shift = np.repeat([-IN, 0, IN], OUT)
    tap = np.arange(IN)[:, np.newaxis] + IN * _AROUND - shift - begins[group]
    near = np.abs(np.arange(IN)[:, np.newaxis] - centres) <= REACH
    taps = np.zeros((OUT // _TOGETHER, _TAPS, _TOGETHER), np.float32)
    output = np.broadcast_to(np.arange(-OUT, 2 * OUT) % OUT, tap.shape)
    taps[output[near] // _TOGETHER, tap[near], output[near] % _TOGETHER] = _responses()[near]
    return Filter(begins, taps, _first_responses())


def _responses() -> Float32s:
    """Return what each input of a block adds to the outputs of its and the neighbouring blocks.

    Returns
    -------
    [shape=(441, 960), float32].
    """
    blocks = _APART * (1 + np.arange(IN))
    impulses = np.zeros((_APART * (IN + 2), IN), np.float32)
    impulses[blocks, np.arange(IN)] = 1.0
    out = _by_soxr(impulses.ravel()).reshape(-1, OUT)
    return np.concatenate([out[blocks - 1], out[blocks], out[blocks + 1]], axis=1)


def _first_responses() -> Float32s:
    """Return what each of the first inputs adds to the first outputs [shape=(2, 264), float32]."""
    impulses = np.eye(_TAPS, 2 * IN, dtype=np.float32)
    return np.stack([_by_soxr(row)[:_FIRST] for row in impulses], axis=1)


def _by_soxr(y: Float32s) -> Float32s:
    resampled: Float32s = soxr.resample(y, FROM, TO, quality="HQ")
    return resampled


@kernel(
    types.float32[::1],
    types.Array(types.int64, 1, "C", readonly=True),
    types.Array(types.float32, 3, "C", readonly=True),
    types.int64,
    types.float32[:, ::1],
    types.float32[:, ::1],
    types.float32[::1],
)
def convolve(
    y: Float32s,
    begins: NDArray[np.int64],
    taps: Float32s,
    first: int,
    columns: Float32s,
    lanes: Float32s,
    out: Float32s,
) -> None:
    """Filter `LANES` blocks.

    Parameters
    ----------
    y
        Samples, with a block of zeros before them and as many behind as are read [shape=(n,)].
    begins, taps
        Of `Filter`.
    first
        Number of the first block.
    columns, lanes
        To work in [shape=(441, 176) and (320, LANES)].
    out
        The result; what does not fit is left out [shape=(m,)].
    """
    for near in range(0, IN, _NEAR):
        for block in range(LANES + 2 * _AROUND):
            for i in range(near, near + _NEAR):
                columns[i, block] = y[IN * (first + block) + i]
    flat = columns.reshape(-1)
    lanes[:] = np.float32(0)
    for group in range(taps.shape[0]):
        for tap in range(0, _TAPS, _STEP):
            i = begins[group] + tap
            a = np.uint64(i % IN * _WIDTH + i // IN)
            b = np.uint64((i + 1) % IN * _WIDTH + (i + 1) // IN)
            c = np.uint64((i + 2) % IN * _WIDTH + (i + 2) // IN)
            d = np.uint64((i + 3) % IN * _WIDTH + (i + 3) // IN)
            w = taps[group, tap : tap + _STEP]
            a0, b0, c0, d0 = w[0, 0], w[1, 0], w[2, 0], w[3, 0]
            a1, b1, c1, d1 = w[0, 1], w[1, 1], w[2, 1], w[3, 1]
            a2, b2, c2, d2 = w[0, 2], w[1, 2], w[2, 2], w[3, 2]
            a3, b3, c3, d3 = w[0, 3], w[1, 3], w[2, 3], w[3, 3]
            a4, b4, c4, d4 = w[0, 4], w[1, 4], w[2, 4], w[3, 4]
            for lane in range(LANES):
                j = np.uint64(lane)
                s, t, u, v = flat[a + j], flat[b + j], flat[c + j], flat[d + j]
                lanes[_TOGETHER * group, lane] += a0 * s + b0 * t + c0 * u + d0 * v
                lanes[_TOGETHER * group + 1, lane] += a1 * s + b1 * t + c1 * u + d1 * v
                lanes[_TOGETHER * group + 2, lane] += a2 * s + b2 * t + c2 * u + d2 * v
                lanes[_TOGETHER * group + 3, lane] += a3 * s + b3 * t + c3 * u + d3 * v
                lanes[_TOGETHER * group + 4, lane] += a4 * s + b4 * t + c4 * u + d4 * v
    for block in range(LANES):
        begin = OUT * (first + block)
        for i in range(min(OUT, out.shape[0] - begin)):
            out[begin + i] = lanes[i, block]


def resample(y: Float32s) -> Float32s:
    """Resample from 22.05 to 16 kHz; what is before and behind the samples counts as 0.

    Parameters
    ----------
    y
        Samples at 22.05 kHz [shape=(n,)].

    Returns
    -------
    Samples at 16 kHz [shape=(round(n * 320 / 441),), float32].
    """
    filter_ = soxr_filter()
    out = np.empty(round(len(y) * OUT / IN), np.float32)
    runs = -(-len(out) // (OUT * LANES))
    padded = np.zeros(IN * (LANES * runs + 2 * _AROUND), np.float32)
    padded[IN * _AROUND : IN * _AROUND + len(y)] = y
    columns, lanes = np.empty((IN, _WIDTH), np.float32), np.empty((OUT, LANES), np.float32)
    for run in range(runs):
        convolve(padded, filter_.begins, filter_.taps, LANES * run, columns, lanes, out)
    head = padded[IN * _AROUND : IN * _AROUND + _TAPS]
    out[:_FIRST] = (filter_.first[: len(out)] @ head).astype(np.float32)
    return out
