"""I3: the feature sets equal librosa's own functions, and reproduce the public 30 s table."""

import csv
from pathlib import Path

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from features import FEATURE_SETS, feature_set, read_file
from tests.audio import Frames, clicks, music, noise, square, tone

RATE = 22_050
SIGNALS = {
    "noise": noise(3.0, RATE),
    "faint noise": noise(3.0, RATE) * np.float32(1e-4),
    "tone": tone(3.0, RATE),
    "music": music(3.0, RATE),
    "silence": np.zeros(3 * RATE, np.float32),
    "half silent": np.concatenate([np.zeros(RATE, np.float32), noise(2.0, RATE)]),
    "clicks": clicks(3.0, RATE),
    "DC": np.full(3 * RATE, 0.5, np.float32),
    "full-scale square": square(3.0, RATE),
    "far over full scale": square(3.0, RATE) * np.float32(64),
    "one second": music(1.0, RATE),
    "shortest": noise(2048 / RATE, RATE),
    "nearly nothing": np.full(3 * RATE, 1e-38, np.float32),
    "faint tone": tone(3.0, RATE, amplitude=1e-5),
    "low tone": tone(3.0, RATE, hertz=30.0),
    "high tone": tone(3.0, RATE, hertz=9876.5),
    "tone over faint noise": tone(3.0, RATE) + noise(3.0, RATE) * np.float32(1e-6),
    "faint DC": np.full(3 * RATE, 1e-5, np.float32),
    "full-scale DC": np.ones(3 * RATE, np.float32),
    "faint clicks": clicks(3.0, RATE) * np.float32(1e-9),
    "music and silence": np.concatenate(
        [music(1.0, RATE), np.zeros(RATE // 2, np.float32), music(1.5, RATE, seed=1)]
    ),
    "fade to nothing": music(3.0, RATE) * np.geomspace(1, 1e-30, 3 * RATE, dtype=np.float32),
    "16 bits": np.round(music(3.0, RATE) * 3000).astype(np.float32) / np.float32(32768),
    "whole hops": noise(65_536 / RATE, RATE),
    "one block and one frame": music((2048 + 128 * 512) / RATE, RATE),
    "30 s": music(661_794 / RATE, RATE),
}

Columns = dict[str, NDArray[np.float64]]


def by_librosa(y: Frames) -> Columns:
    """Compute every descriptor by a call of its own [shape=(bins, t) each]."""
    feature = librosa.feature
    mfcc = feature.mfcc(y=y, sr=RATE, n_mfcc=20, center=False)
    frames = {
        "chroma_stft": feature.chroma_stft(y=y, sr=RATE, center=False, tuning=0.0),
        "rms": feature.rms(y=y, center=False),
        "spectral_centroid": feature.spectral_centroid(y=y, sr=RATE, center=False),
        "spectral_bandwidth": feature.spectral_bandwidth(y=y, sr=RATE, center=False),
        "rolloff": feature.spectral_rolloff(y=y, sr=RATE, center=False),
        "zero_crossing_rate": feature.zero_crossing_rate(y, center=False),
    } | {f"mfcc{i + 1}": mfcc[i] for i in range(20)}
    return {name: values.astype(np.float64) for name, values in frames.items()}


def expected(name: str, y: Frames) -> list[float]:
    frames = by_librosa(y)
    if name == "seed-25":
        return [frames[feature].mean() for feature in feature_set(name).names]
    moments = [feature.rsplit("_", 1) for feature in feature_set(name).names]
    return [
        frames[feature].mean() if moment == "mean" else frames[feature].var()
        for feature, moment in moments
    ]


def assert_parity(name: str, y: Frames) -> None:
    values = feature_set(name).extract(y)
    assert values.dtype == np.float32
    for feature, value, target in zip(
        feature_set(name).names, values, expected(name, y), strict=True
    ):
        # Where all frames are alike, librosa's own rounding decides the variance.
        floor = 1e-7 if feature.endswith("_var") else 1e-9
        np.testing.assert_allclose(value, target, rtol=1e-4, atol=floor, err_msg=feature)


@pytest.mark.parametrize("name", ["seed-25", "librosa-52"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_features_equal_direct_librosa_calls(signal: str, name: str) -> None:
    assert_parity(name, SIGNALS[signal])


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_samples_are_not_changed(name: str) -> None:
    y = music(2.0, RATE)
    feature_set(name).extract(y)
    np.testing.assert_array_equal(y, music(2.0, RATE))


@pytest.fixture(scope="module")
def tracks(data_dir: Path) -> list[Path]:
    paths = sorted((data_dir / "gtzan" / "lossless").glob("*/*.flac"))
    assert len(paths) == 40
    return paths


@pytest.mark.data
def test_features_of_tracks_equal_direct_librosa_calls(tracks: list[Path]) -> None:
    for number, path in enumerate(tracks):
        y = read_file(path).samples
        assert_parity("librosa-52", y[number * RATE // 4 :][: 3 * RATE])
        if number % 8 == 0:
            assert_parity("librosa-52", y)


@pytest.mark.data
def test_whole_tracks_reproduce_the_public_table(data_dir: Path, tracks: list[Path]) -> None:
    recipe = feature_set("librosa-52")
    with (data_dir / "tables" / "gtzan_features_30_sec.csv").open() as file:
        rows = {
            row["filename"]: [float(row[n]) for n in recipe.names] for row in csv.DictReader(file)
        }
    deviations = np.std(list(rows.values()), axis=0)
    ours = [recipe.extract(read_file(path).samples) for path in tracks]
    table = [rows[f"{path.stem}.wav"] for path in tracks]
    z = np.abs(np.subtract(ours, table)) / deviations
    assert z.shape == (40, 52)
    assert np.median(z) <= 0.01
