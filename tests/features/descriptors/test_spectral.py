"""The parts of the extraction: filter banks, transform, and what an import costs."""

import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

from features.descriptors import transform
from features.descriptors.filter_banks import FilterBanks, filter_banks
from features.generate_filter_banks import librosa_filter_banks
from tests.audio import noise

_IMPORTS = """
import sys
import features
print([name for name in ("librosa", "numba") if name in sys.modules])
features.feature_set("librosa-52").extract(__import__("numpy").ones(22050, "f"))
print([name for name in ("librosa",) if name in sys.modules])
"""


def test_filter_banks_are_those_of_librosa() -> None:
    ours, theirs = filter_banks(), librosa_filter_banks()
    for field in fields(FilterBanks):
        kept, computed = getattr(ours, field.name), getattr(theirs, field.name)
        assert kept.dtype == computed.dtype
        np.testing.assert_allclose(kept, computed, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 100])
def test_transform_is_as_exact_as_that_of_scipy(frames: int) -> None:
    hops = noise((frames + 3) * 512 / 22_050, 22_050).reshape(-1, 512)
    banks = filter_banks()
    y = sliding_window_view(hops.ravel(), 2048)[::512]
    exact = np.abs(scipy.fft.rfft(y * banks.window)).T
    single = np.abs(scipy.fft.rfft(y * banks.window32)).T
    S = transform.magnitudes(hops, banks.window32)
    assert S.shape == (1025, frames)
    assert np.square(S - exact).mean() <= 1.5 * np.square(single - exact).mean()


def test_neither_import_nor_extraction_waits_for_librosa() -> None:
    command = [sys.executable, "-c", _IMPORTS]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stdout.split("\n")[:2] == ["[]", "[]"]
