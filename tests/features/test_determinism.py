"""The same samples give the same bits: wherever they lie, on any number of threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

from features import FEATURE_SETS, Audio, feature_set, resample, resampling
from features.descriptors import kernels, transform
from features.embeddings import content, spectra
from tests.audio import Frames, music, noise

RATE = 22_050

_EXTRACT = """
from features import FEATURE_SETS, feature_set
from tests.audio import music
for name in FEATURE_SETS:
    print(feature_set(name).extract(music(2.0, 22050)).tobytes().hex())
"""


def at_offset(y: Frames, samples: int) -> Frames:
    larger = np.concatenate([np.zeros(samples, np.float32), y, np.ones(5, np.float32)])
    return larger[samples : samples + len(y)]


def read_only(y: Frames) -> Frames:
    return np.frombuffer(y.tobytes(), np.float32)


def unaligned(y: Frames) -> Frames:
    return np.frombuffer(b"?" + y.tobytes(), np.float32, offset=1)


def strided(y: Frames) -> Frames:
    return np.repeat(y, 2)[::2]


@pytest.mark.parametrize("seconds", [1.0, 2.1])
@pytest.mark.parametrize("name", FEATURE_SETS)
def test_views_give_the_same_bits(name: str, seconds: float) -> None:
    extract = feature_set(name).extract
    y = music(seconds, RATE)
    expected = extract(y).tobytes()
    views = [y, y.copy(), read_only(y), unaligned(y), strided(y)]
    views += [at_offset(y, samples) for samples in (1, 3, 7, 16, 17)]
    for view in views:
        np.testing.assert_array_equal(view, y)
        assert extract(view).tobytes() == expected


def test_what_was_extracted_before_does_not_matter() -> None:
    extract = feature_set("librosa-52").extract
    expected = extract(music(3.0, RATE)).tobytes()
    extract(noise(2.0, RATE) * np.float32(64))
    assert extract(music(3.0, RATE)).tobytes() == expected


def test_the_number_of_threads_does_not_matter() -> None:
    runs = []
    for threads in ("1", "2"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads)
        command = [sys.executable, "-c", _EXTRACT]
        runs.append(subprocess.run(command, env=environment, check=True, capture_output=True))
    assert len(runs[0].stdout.split()) == len(FEATURE_SETS)
    assert runs[0].stdout == runs[1].stdout


def test_no_array_makes_a_kernel_compile_again() -> None:
    y = music(1.0, RATE)
    for view in (y, read_only(y), unaligned(y), strided(y), y.astype(">f4"), y.astype(float)):
        for name in FEATURE_SETS:
            feature_set(name).extract(view)
        resample(Audio(view, RATE), 16_000)
        content.content(view)
    compiled = [
        kernel
        for module in (kernels, transform, spectra, resampling)
        for kernel in vars(module).values()
        if hasattr(kernel, "signatures")
    ]
    assert len(compiled) == 19
    assert all(len(kernel.signatures) == 1 for kernel in compiled)
