from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from features import (
    FLOOR_DBFS,
    MIN_WINDOW_SECONDS,
    Audio,
    Samples,
    cut,
    feature_set,
    level_dbfs,
    resample,
    split,
    split_blocks,
    window_length,
)
from tests.audio import Frames, music, noise, square, tone

RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)


@given(
    length=st.integers(1, 20),
    sizes=st.lists(st.integers(0, 30), max_size=12),
)
def test_streaming_cuts_what_splitting_the_whole_does(length: int, sizes: list[int]) -> None:
    """Cut after every chunk, carrying the rest over: windows and rest are those of `split`."""
    y = np.arange(sum(sizes), dtype=np.float32)
    windows: list[Samples] = []
    rest: tuple[Samples, ...] = ()
    for chunk in np.split(y, np.cumsum(sizes))[:-1]:
        complete, rest = cut((*rest, chunk), length)
        windows += complete
    last = [np.concatenate(rest)] if rest else []
    whole = [window.audio.samples for window in split(Audio(y, 1), length, min_seconds=0)]
    assert len(windows) == len(y) // length
    assert [w.tolist() for w in windows + last] == [w.tolist() for w in whole]


def test_a_rest_does_not_keep_the_audio_before_it_alive() -> None:
    _, (rest,) = cut((np.zeros(1001, np.float32),), 100)
    assert rest.base is None


@given(st.sampled_from(RATES), st.integers(0, 60_000), st.sampled_from([0.5, 3.0]))
def test_the_window_grid(rate: int, samples: int, window_seconds: float) -> None:
    audio = Audio(np.zeros(samples, np.float32), rate)
    length = window_length(window_seconds, rate)
    whole, rest = divmod(samples, length)
    windows = list(split(audio, window_seconds))
    assert len(windows) == whole + (rest >= MIN_WINDOW_SECONDS * rate)
    assert [window.index for window in windows] == list(range(len(windows)))
    for window in windows:
        assert window.start_seconds == window.index * length / rate
    for before, after in pairwise(windows):
        assert before.end_seconds == pytest.approx(after.start_seconds)
        assert len(before.audio.samples) == length


@pytest.mark.parametrize(
    ("seconds", "lengths"),
    [
        (0.1, []),
        (0.999, []),
        (1.0, [1.0]),
        (3.0, [3.0]),
        (3.999, [3.0]),
        (4.0, [3.0, 1.0]),
        (5.5, [3.0, 2.5]),
        (30.0, [3.0] * 10),
    ],
)
def test_a_rest_of_a_second_is_a_window(seconds: float, lengths: list[float]) -> None:
    audio = Audio(np.zeros(round(seconds * 1000), np.float32), 1000)
    assert [window.audio.seconds for window in split(audio, 3.0)] == lengths


@given(st.integers(8_000, 192_000), st.sampled_from([16_000, 22_050]), st.integers(0, 2_000))
def test_resampling_gives_the_rounded_length(rate: int, target: int, extra: int) -> None:
    assume(rate != target)
    y = np.ones(rate // 20 + extra, np.float32)
    resampled = resample(Audio(y, rate), target)
    assert len(resampled) == round(len(y) * target / rate)
    assert resampled.dtype == np.float32


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("target", [16_000, 22_050])
def test_whole_windows_are_exactly_as_long_at_any_rate(rate: int, target: int) -> None:
    y = np.zeros(window_length(3.0, rate), np.float32)
    assert len(resample(Audio(y, rate), target)) == 3 * target


def test_the_same_rate_changes_nothing() -> None:
    y = noise(1.0, 22_050)
    assert resample(Audio(y, 22_050), 22_050) is y


@pytest.mark.parametrize("rate", RATES)
def test_resampling_keeps_a_tone(rate: int) -> None:
    resampled = resample(Audio(tone(3.0, rate), rate), 22_050)
    np.testing.assert_allclose(resampled[500:-500], tone(3.0, 22_050)[500:-500], atol=1e-3)


@pytest.mark.parametrize(("name", "bound"), [("seed-25", 1e-4), ("librosa-52", 1e-2)])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("signal", [noise, music])
def test_windows_resampled_alone_have_nearly_the_features_of_the_whole_resampled(
    signal: Callable[[float, int], Frames], rate: int, name: str, bound: float
) -> None:
    """The ends of a window are filtered without what is beyond them; features hardly notice.

    Largest differences seen, relative to a feature's mean: 1.6e-5 for the means of `seed-25`,
    2.3e-3 for the variances of `librosa-52`, both with white noise.
    """
    recipe = feature_set(name)
    audio = Audio(signal(9.3, rate)[round(0.3 * rate) :], rate)  # no beat at a border
    whole = split(Audio(resample(audio, 22_050), 22_050), 3.0)
    alone = np.array([recipe.extract(resample(w.audio, 22_050)) for w in split(audio, 3.0)])
    together = np.array([recipe.extract(window.audio.samples) for window in whole])
    assert alone.shape == together.shape == (3, len(recipe.names))
    difference = np.abs(alone - together) / np.abs(together).mean(axis=0)
    assert difference.max() < bound


@pytest.mark.parametrize(
    ("samples", "level"),
    [
        (square(1.0, 8_000), 0.0),
        (tone(1.0, 8_000, amplitude=1.0), -3.01),
        (tone(1.0, 8_000, amplitude=0.1), -23.01),
        (np.full(100, 1e-6, np.float32), -120.0),
        (np.full(100, 1e-30, np.float32), FLOOR_DBFS),
        (np.zeros(100, np.float32), FLOOR_DBFS),
        (np.full(100, 64.0, np.float32), 36.12),
    ],
)
def test_levels(samples: Frames, level: float) -> None:
    assert level_dbfs(samples) == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("size", [1, 7, 999, 3_000, 10_000, 65_536])
def test_windows_of_blocks_are_those_of_the_whole(size: int) -> None:
    y = np.arange(10_500, dtype=np.float32)
    blocks = [y[start : start + size] for start in range(0, len(y), size)]
    whole, found = list(split(Audio(y, 1_000), 3.0)), list(split_blocks(blocks, 1_000, 3.0))
    assert [w.index for w in found] == [w.index for w in whole] == [0, 1, 2, 3]
    for one, other in zip(whole, found, strict=True):
        assert one.start_seconds == other.start_seconds
        np.testing.assert_array_equal(one.audio.samples, other.audio.samples)
