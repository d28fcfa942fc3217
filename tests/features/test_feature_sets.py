import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features import FEATURE_SETS, FeatureSet, feature_set
from features.formats.audio import MAX_AMPLITUDE
from schemas.errors import InvalidSamples
from tests.audio import Frames, clicks, music, noise, square, tone


@pytest.mark.parametrize(
    ("name", "sample_rate", "size"),
    [
        ("seed-25", 22_050, 25),
        ("librosa-52", 22_050, 52),
        ("musicnn-200", 16_000, 200),
        ("musicnn-200-int8", 16_000, 200),
        ("ced-192", 16_000, 192),
    ],
)
def test_recipes(name: str, sample_rate: int, size: int) -> None:
    recipe = feature_set(name)
    assert (recipe.name, recipe.sample_rate, recipe.window_seconds) == (name, sample_rate, 3.0)
    assert len(set(recipe.names)) == size
    values = recipe.extract(music(3.0, sample_rate))
    assert values.shape == (size,)
    assert values.dtype == np.float32


def test_there_are_no_others() -> None:
    assert (
        *("seed-25", "librosa-52", "musicnn-200", "musicnn-200-int8", "ced-192"),
    ) == FEATURE_SETS
    with pytest.raises(KeyError, match="no feature set 'mfcc': choose seed-25, librosa-52, "):
        feature_set("mfcc")


@pytest.mark.data
def test_columns_are_in_the_order_of_the_public_table(data_dir: Path) -> None:
    with (data_dir / "tables" / "gtzan_features_30_sec.csv").open() as file:
        columns = next(csv.reader(file))
    names = feature_set("librosa-52").names
    assert [column for column in columns if column in names] == list(names)


@pytest.mark.parametrize("shape", [(0,), (2047,), (4096, 2)])
@pytest.mark.parametrize("name", FEATURE_SETS)
def test_too_few_samples_or_not_mono(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidSamples, match=f"{name} needs at least 2048 mono samples, got shape"):
        feature_set(name).extract(np.zeros(shape, np.float32))


def test_features_without_a_finite_value_are_named() -> None:
    values = np.array([1.0, np.nan, -np.inf], np.float32)
    recipe = FeatureSet("broken", 22_050, 3.0, ("a", "b", "c"), compute=lambda y: values)
    with pytest.raises(InvalidSamples, match=r"broken has no finite value for b, c$"):
        recipe.extract(music(3.0, 22_050))


@pytest.mark.parametrize("amplitude", [1e-45, 1e-38, 1e-30, 1e-20, 1e-10, 1e-3, MAX_AMPLITUDE])
@pytest.mark.parametrize("signal", [noise, clicks, square, tone])
def test_all_audio_that_decodes_has_finite_features(
    signal: Callable[[float, int], Frames], amplitude: float
) -> None:
    y = signal(1.0, 22_050) * np.float32(amplitude)
    assert np.abs(y).max() <= MAX_AMPLITUDE
    for name in FEATURE_SETS:
        assert np.isfinite(feature_set(name).extract(y)).all()
