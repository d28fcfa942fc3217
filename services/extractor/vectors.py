"""Windows to feature vectors."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import FLOOR_DBFS, FeatureSet, Window, level_dbfs, resample
from schemas import FeatureVector, Origin, feature_event_id
from services.extractor.state import Recipe, StreamState

_DIGITS: Final = 9
_LOG10_2: Final = math.log10(2.0)


def vector(
    stream_id: str, origin: Origin, window: Window, feature_set: FeatureSet
) -> FeatureVector:
    """Compute the feature vector of a window.

    Raises
    ------
    InvalidSamples
        The samples give no finite features.
    """
    values = feature_set.extract(resample(window.audio, feature_set.sample_rate))
    return FeatureVector(
        event_id=feature_event_id(origin, feature_set.name, window.index),
        stream_id=stream_id,
        origin=origin,
        feature_set=feature_set.name,
        window_index=window.index,
        start_seconds=window.start_seconds,
        end_seconds=window.end_seconds,
        level_dbfs=round(level_dbfs(window.audio.samples), 2),
        values=shortened(values),
    )


def shortened(values: NDArray[np.float32]) -> tuple[float, ...]:
    """Round to nine significant digits or ten: enough for every float32, and short in JSON.

    Parameters
    ----------
    values
        Finite [shape=(n,), float32].
    """
    wide = values.astype(np.float64)
    _, exponent = np.frexp(wide)
    scale = 10.0 ** (_DIGITS - 1 - np.floor((exponent - 1) * _LOG10_2))
    return tuple((np.round(wide * scale) / scale).tolist())


def end_markers(state: StreamState, recipe: Recipe) -> Iterator[FeatureVector]:
    """Yield the vectors without values that end a stream of which no window is left."""
    cursor = state.cursor
    end = cursor.window_index * recipe.window_seconds
    for feature_set in recipe.feature_sets:
        yield FeatureVector(
            event_id=feature_event_id(cursor.origin, feature_set.name, cursor.window_index),
            stream_id=state.stream_id,
            origin=cursor.origin,
            feature_set=feature_set.name,
            window_index=cursor.window_index,
            start_seconds=end,
            end_seconds=end,
            level_dbfs=FLOOR_DBFS,
            values=(),
            final=True,
            missing_chunks=state.missing,
        )
