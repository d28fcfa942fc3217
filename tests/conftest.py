import os
from pathlib import Path

import pytest
from hypothesis import settings

# Searching from a fixed seed: a run is repeatable, and as slow as its examples are.
settings.register_profile("genrestream", deadline=None, derandomize=True)
settings.load_profile("genrestream")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Find the folder of audio and tables that are not part of the project."""
    named = os.environ.get("GENRESTREAM_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no audio data in {folder}: name its folder by GENRESTREAM_TEST_DATA")
    return folder
