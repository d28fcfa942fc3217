"""Read feature tables: the public GTZAN tables and those of ``genrestream extract``."""

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np

from features import FEATURE_SETS, FeatureSet, feature_set
from features.formats.table import AUDIO_SUFFIXES
from schemas import GENRES
from training.data.datasets import Dataset, Features
from training.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

#: Columns that name the track of a row: ours, then the public tables'.
TRACK_COLUMNS: Final = ("track", "filename")
LABEL_COLUMN: Final = "label"

_GTZAN_NAME: Final = re.compile(r"([a-z]+)[._](\d{5})(?:\.\d+)?")


def track_id(name: str) -> str:
    """Return one name for a track, however a table or split spells its file.

    GTZAN's files become ``genre.NNNNN``, others keep their path without the audio suffix.

    Examples
    --------
    >>> track_id("blues.00012.0.wav"), track_id("./blues_00012.wav"), track_id("blues/blues.00012")
    ('blues.00012', 'blues.00012', 'blues.00012')
    >>> track_id("polka/My song.mp3")
    'polka/My song'
    """
    path = PurePosixPath(name.strip())
    if path.suffix.lower() in AUDIO_SUFFIXES:
        path = path.with_suffix("")
    gtzan = _GTZAN_NAME.fullmatch(path.name)
    return f"{gtzan[1]}.{gtzan[2]}" if gtzan else str(path)


def known_feature_set(name: str) -> FeatureSet:
    """Return a feature set, or say which ones there are.

    Raises
    ------
    DataError
        There is none of that name.
    """
    if name not in FEATURE_SETS:
        raise DataError(f"no feature set {name!r}: choose {', '.join(FEATURE_SETS)}")
    return feature_set(name)


def load_table(path: Path, feature_set: str, labels: tuple[str, ...] = GENRES) -> Dataset:
    """Read a CSV or Parquet table of features.

    A feature is taken from the column of its name, or else of its name and ``_mean`` as the public
    30 s table has it.

    Parameters
    ----------
    path
        The table; its suffix tells its kind.
    feature_set
        Name of the feature set to take from it.
    labels
        The genres that may occur, in the order of the model's output.

    Raises
    ------
    DataError
        The table is missing, unreadable or empty, lacks a column, or holds a value that is no
        finite number, a label that is not one of `labels`, or a track of two labels.
    """
    names = known_feature_set(feature_set).names
    frame = _read(path)
    columns = [_column(frame, path, (name, f"{name}_mean")) for name in names]
    genres = _column(frame, path, (LABEL_COLUMN,))
    tracks = _column(frame, path, TRACK_COLUMNS)
    if frame.empty:
        raise DataError(f"{path} has no rows: extract the features of some audio first")
    _check_labels(frame, genres, path, labels)
    _check_tracks(frame, tracks, genres, path)
    y = frame[genres].map({label: k for k, label in enumerate(labels)})
    return Dataset(
        name=path.name,
        feature_set=feature_set,
        feature_names=names,
        labels=labels,
        X=_numbers(frame, columns, path),
        y=y.to_numpy(np.int64),
        tracks=np.array([track_id(str(name)) for name in frame[tracks]]),
    )


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    if path.is_dir():
        raise DataError(f"{path} is a folder: make a table of it by genrestream extract")
    if path.suffix not in (".csv", ".parquet"):
        raise DataError(f"{path.name} is no table: use a .csv or .parquet file")
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except FileNotFoundError as error:
        raise DataError(f"no table {path}: give the path of a .csv or .parquet file") from error
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} does not read as a table: {reason}") from error


def _column(frame: "pd.DataFrame", path: Path, names: tuple[str, ...]) -> str:
    for name in names:
        if name in frame.columns:
            return name
    raise DataError(
        f"{path.name} has no column {' or '.join(names)}: it needs a track, a label and every "
        "feature of the feature set"
    )


def _check_tracks(frame: "pd.DataFrame", column: str, genres: str, path: Path) -> None:
    """Refuse rows without a track, and tracks of two genres: they could not be voted."""
    if frame[column].isna().any():
        row = int(frame[column].isna().to_numpy().argmax())
        raise DataError(f"{path.name} row {row + 1} has no {column}: name the track of every row")
    names = frame[column].astype(str).map(track_id)
    torn = frame[genres].groupby(names).nunique() > 1
    if torn.any():
        raise DataError(
            f"{path.name} gives {int(torn.sum())} tracks several labels "
            f"({', '.join(torn.index[torn][:5])}): a track has one genre"
        )


def _check_labels(frame: "pd.DataFrame", column: str, path: Path, labels: tuple[str, ...]) -> None:
    unknown = ~frame[column].isin(labels)
    if unknown.any():
        row = int(unknown.to_numpy().argmax())
        raise DataError(
            f"{path.name} row {row + 1} has label {str(frame[column].iloc[row])!r} "
            f"({int(unknown.sum())} such rows): known are {', '.join(labels)}; "
            "name your own by --labels"
        )


def _numbers(frame: "pd.DataFrame", columns: list[str], path: Path) -> Features:
    import pandas as pd

    values = frame[columns].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    with np.errstate(over="ignore"):
        X: Features = values.astype(np.float32)
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise DataError(
            f"{path.name} row {row + 1} has {str(frame[columns[column]].iloc[row])!r} in column "
            f"{columns[column]} ({len(bad)} such values): features must be finite numbers"
        )
    return X
