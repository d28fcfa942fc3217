"""The compiled resampling is soxr's: the same filter, at the ends too, by blocks of any number."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr

from features import Audio, resample
from features.embeddings.log_mel import log_mel
from features.resampling import FROM, IN, LANES, REACH, TO, soxr_filter
from tests.audio import Frames, clicks, music, noise, tone

#: Of full scale: the filter ends at taps of 1e-6, and sums are rounded otherwise.
TOLERANCE = 5e-6


def by_soxr(y: Frames) -> Frames:
    resampled: Frames = soxr.resample(y, FROM, TO, quality="HQ")
    return resampled


@pytest.mark.parametrize("signal", [noise, music, clicks, tone])
@pytest.mark.parametrize("samples", [3 * FROM, FROM, FROM + 1, 2 * FROM - 7, LANES * IN + 1])
def test_samples_are_those_of_soxr(signal: Callable[[float, int], Frames], samples: int) -> None:
    y = signal(samples / FROM, FROM)
    found, expected = resample(Audio(y, FROM), TO), by_soxr(y)
    assert len(found) == round(len(y) * TO / FROM)
    both = min(len(found), len(expected))
    np.testing.assert_allclose(found[:both], expected[:both], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("samples", [1, 2, 100, IN, 2_048])
def test_a_few_samples_are_resampled_likewise(samples: int) -> None:
    y = noise(1.0, FROM)[:samples]
    found, expected = resample(Audio(y, FROM), TO), by_soxr(y)
    both = min(len(found), len(expected))
    np.testing.assert_allclose(found[:both], expected[:both], rtol=0, atol=TOLERANCE)


def test_a_long_recording_is_resampled_in_runs() -> None:
    y = noise(20.0, FROM)
    np.testing.assert_allclose(resample(Audio(y, FROM), TO), by_soxr(y), rtol=0, atol=TOLERANCE)


def test_the_spectrogram_is_that_of_soxr() -> None:
    y = music(3.0, FROM)
    found, expected = log_mel(resample(Audio(y, FROM), TO)), log_mel(by_soxr(y))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_what_lies_beyond_the_filter_changes_nothing() -> None:
    y = noise(3.0, FROM)
    changed = y.copy()
    changed[33_000:] = 0.0
    before = int((33_000 - REACH) * TO / FROM) - 2
    one, other = (resample(Audio(samples, FROM), TO) for samples in (y, changed))
    np.testing.assert_array_equal(one[:before], other[:before])
    assert not np.array_equal(one[before : before + REACH], other[before : before + REACH])


def test_the_filter_passes_a_constant() -> None:
    np.testing.assert_allclose(soxr_filter().taps.sum(axis=1), 1.0, atol=2e-5)
