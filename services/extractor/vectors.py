"""Windows to feature vectors."""

from collections.abc import Iterator

from features import FLOOR_DBFS, FeatureSet, Window, level_dbfs, resample
from schemas import FeatureVector, Origin, feature_event_id
from services.extractor.state import Recipe, StreamState


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
        values=tuple(float(text) for text in values.astype(str)),  # shortest digits of a float32
    )


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
