"""Small synthetic data, and the real one where it is there."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from features import feature_set
from schemas import GENRES
from training.data.datasets import Dataset

SEED_25 = feature_set("seed-25").names
TRACKS_PER_GENRE = 12


def make_dataset(windows: int = 1, tracks: int = TRACKS_PER_GENRE, noise: float = 1.0) -> Dataset:
    """Ten genres as clouds around their centres; features differ in scale as real ones do."""
    random = np.random.default_rng(7)
    y = np.repeat(np.arange(len(GENRES)), tracks * windows)
    scale = np.geomspace(0.1, 1000.0, len(SEED_25))
    centres = random.normal(size=(len(GENRES), len(SEED_25)))
    X = (centres[y] + noise * random.normal(size=(len(y), len(SEED_25)))) * scale
    names = [f"{genre}.{i:05d}" for genre in GENRES for i in range(tracks) for _ in range(windows)]
    return Dataset(
        name="synthetic.csv",
        feature_set="seed-25",
        feature_names=SEED_25,
        labels=GENRES,
        X=X.astype(np.float32),
        y=y,
        tracks=np.array(names),
    )


def to_frame(data: Dataset) -> pd.DataFrame:
    frame = pd.DataFrame(data.X, columns=list(data.feature_names))
    frame.insert(0, "track", data.tracks)
    frame.insert(1, "label", [data.labels[k] for k in data.y])
    return frame


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def table(tmp_path: Path, dataset: Dataset) -> Path:
    path = tmp_path / "table.csv"
    to_frame(dataset).to_csv(path, index=False)
    return path


@pytest.fixture
def write_tone() -> Callable[[Path, float, float], None]:
    """Write so many seconds of a noisy tone of a frequency in Hz, at 22 050 Hz."""

    def write(path: Path, hertz: float, seconds: float) -> None:
        random = np.random.default_rng(round(hertz))
        time = np.arange(round(seconds * 22_050)) / 22_050
        samples = 0.3 * np.sin(2 * np.pi * hertz * time) + 0.05 * random.normal(size=len(time))
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples.astype(np.float32), 22_050)

    return write


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of the public tables, splits and audio; see its README."""
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("GTZAN_DATA", root / "../shared/data")).resolve()
    if not (folder / "tables").is_dir():
        pytest.skip(f"no GTZAN tables in {folder}: set GTZAN_DATA")
    return folder
