"""Features of a folder of audio: window by window as the extractor service computes them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

import features
from schemas.errors import AudioError
from terminal.processes import map_in_processes
from training.data.audio_folders import AudioFile, Skipped
from training.data.tables import LABEL_COLUMN
from training.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

#: Columns of our tables before the features: what a row is of.
KEY_COLUMNS: Final = ("track", "window", "start_seconds", "seconds", LABEL_COLUMN)


class WindowRow(msgspec.Struct, frozen=True):
    """Features of one window; times in seconds, ``values`` float32 [shape=(D,)]."""

    index: int
    start_seconds: float
    seconds: float
    values: list[float]


class TrackResult(msgspec.Struct, frozen=True):
    """What became of one file: its windows, or the reason why there are none.

    Attributes
    ----------
    recipe
        Feature set and window length, so that a resumed run mixes no two.
    track, label
        Of the file.
    size
        Of the file in bytes, so that a resumed run notices a changed one.
    rows
        One a window.
    error
        Empty unless the file is broken.
    """

    recipe: str
    track: str
    label: str
    size: int
    rows: list[WindowRow]
    error: str = ""


def extract_file(file: AudioFile, feature_set: str, window_seconds: float) -> TrackResult:
    """Decode a file and compute the features of each of its windows."""
    recipe = features.feature_set(feature_set)
    rows: list[WindowRow] = []
    error = ""
    try:
        with features.open_file(file.path) as sound:
            blocks = features.mono_blocks(sound)
            for window in features.split_blocks(blocks, sound.sample_rate, window_seconds):
                values = recipe.extract(features.resample(window.audio, recipe.sample_rate))
                rows.append(
                    WindowRow(
                        window.index, window.start_seconds, window.audio.seconds, values.tolist()
                    )
                )
    except (AudioError, OSError) as broken:
        rows, error = [], str(broken)
    if not rows and not error:
        error = f"shorter than {features.MIN_WINDOW_SECONDS:g} s, the shortest window"
    return TrackResult(
        _recipe_key(feature_set, window_seconds),
        file.track,
        file.label,
        file.path.stat().st_size,
        rows,
        error,
    )


def _recipe_key(feature_set: str, window_seconds: float) -> str:
    return f"{feature_set} {window_seconds:g} s"


class PartialResults:
    """Results so far in a file beside the table, one JSON line each, to go on from after a stop.

    Parameters
    ----------
    path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encoder = msgspec.json.Encoder()

    def load(self) -> list[TrackResult]:
        """Return what is there; a last line cut short by the stop is left out.

        Raises
        ------
        DataError
            A whole line is not a result.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        self.path.write_bytes(b"".join(line + b"\n" for line in lines))
        try:
            return [msgspec.json.decode(line, type=TrackResult) for line in lines]
        except msgspec.MsgspecError as error:
            raise DataError(
                f"{self.path} is not of an earlier run ({error}): delete it to begin anew"
            ) from error

    def append(self, result: TrackResult) -> None:
        """Add one result."""
        with self.path.open("ab") as file:
            file.write(self._encoder.encode(result) + b"\n")

    def remove(self) -> None:
        """Forget the results: the table is written."""
        self.path.unlink(missing_ok=True)


def pending(
    files: list[AudioFile], done: list[TrackResult], feature_set: str, window_seconds: float
) -> tuple[list[AudioFile], list[TrackResult]]:
    """Tell which files are still to do, and which results of an earlier run still hold."""
    key = _recipe_key(feature_set, window_seconds)
    found = {(result.track, result.size): result for result in done if result.recipe == key}
    results = {file.track: found.get((file.track, file.path.stat().st_size)) for file in files}
    return (
        [file for file in files if results[file.track] is None],
        [result for result in results.values() if result is not None],
    )


def extract_files(
    files: list[AudioFile], feature_set: str, window_seconds: float, processes: int
) -> Iterator[TrackResult]:
    """Extract on several processes; results come in the order of the files."""
    work = partial(extract_file, feature_set=feature_set, window_seconds=window_seconds)
    return map_in_processes(work, files, processes)


def to_table(results: list[TrackResult], feature_set: str) -> tuple["pd.DataFrame", list[Skipped]]:
    """Arrange results as a table, by track and window whatever order they came in.

    Returns
    -------
    table
        `KEY_COLUMNS`, then the features as float32.
    skipped
        The broken files.

    Raises
    ------
    DataError
        No file gave a window.
    """
    import pandas as pd

    ordered = sorted(results, key=lambda result: result.track)
    skipped = [Skipped(Path(result.track), result.error) for result in ordered if result.error]
    rows = [(result, row) for result in ordered for row in result.rows]
    if not rows:
        reasons = "; ".join(f"{file.path}: {file.reason}" for file in skipped[:3])
        raise DataError(f"none of {len(results)} files could be extracted ({reasons})")
    keys: list[tuple[Any, ...]] = [
        (result.track, row.index, row.start_seconds, row.seconds, result.label)
        for result, row in rows
    ]
    values = np.array([row.values for _, row in rows], np.float32)
    names = list(features.feature_set(feature_set).names)
    table = pd.concat(
        [pd.DataFrame(keys, columns=list(KEY_COLUMNS)), pd.DataFrame(values, columns=names)], axis=1
    )
    return table, skipped


def check_output(path: Path) -> None:
    """Refuse an output that is neither CSV nor Parquet, before hours of work.

    Raises
    ------
    DataError
        The suffix is another one, or the folder does not exist.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise DataError(f"cannot write {path.name}: name a .csv or .parquet file")
    if not path.parent.is_dir():
        raise DataError(f"no folder {path.parent} to write {path.name} to: make it first")


def write_table(table: "pd.DataFrame", path: Path) -> None:
    """Write CSV (shortest digits that give the same float32 again) or Parquet."""
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)
