"""Windows to feature vectors."""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import FLOOR_DBFS, FeatureSet, Samples, Window, level_dbfs, resample
from schemas import Content, FeatureVector, Place, feature_event_id, to_time
from services.extractor.state import Recipe, StreamState

_DIGITS: Final = 9
#: Of the samples that `hear` takes, in Hz.
CONTENT_RATE: Final = 16_000
#: Of a probability of content; more would be noise.
_CONTENT_DIGITS: Final = 4
#: Of what content goes by: it was computed from products in 8 bits.
_EMBEDDING_DIGITS: Final = 4
_LOG10_2: Final = math.log10(2.0)


def feature_vectors(
    stream_id: str,
    origin: Place,
    window: Window,
    feature_sets: Sequence[FeatureSet],
    with_content: bool,
    told: Content | None = None,
) -> list[FeatureVector]:
    """Compute the feature vectors of a window, one a feature set.

    The window is resampled once a rate, and what it holds is computed once for all.

    Parameters
    ----------
    with_content
        Whether to tell music, speech and other sound apart, by a network.
    told
        What to say of that without hearing this window.

    Raises
    ------
    InvalidSamples
        The samples give no finite features.
    """

    @cache
    def samples(sample_rate: int) -> Samples:
        return resample(window.audio, sample_rate)

    rows = [(recipe, recipe.extract(samples(recipe.sample_rate))) for recipe in feature_sets]
    held, embedding = told, tuple[float, ...]()
    if with_content and told is None:
        held, embedding = hear(samples(CONTENT_RATE))
    level = round(level_dbfs(window.audio.samples), 2)
    return [
        FeatureVector(
            event_id=feature_event_id(origin, recipe.name, window.index),
            stream_id=stream_id,
            origin=origin,
            feature_set=recipe.name,
            window_index=window.index,
            start_seconds=window.start_seconds,
            end_seconds=window.end_seconds,
            level_dbfs=level,
            values=shortened(values),
            content=held,
            content_embedding=embedding,
        )
        for recipe, values in rows
    ]


def told(window_index: int, before: Content | None, every: int) -> Content | None:
    """Return what a window is said to hold unheard; ``None`` for one that is to be heard.

    Parameters
    ----------
    window_index
        Its number in the stream.
    before
        What the window before it holds.
    every
        One window in so many is heard.
    """
    return before if window_index % every else None


def hear(y: Samples) -> tuple[Content, tuple[float, ...]]:
    """Say what a window holds, and what that goes by.

    Parameters
    ----------
    y
        Samples at 16 kHz [shape=(n,), float32].
    """
    from features.embeddings.content import heard

    found = heard(y)
    music, speech, other = (round(float(p), _CONTENT_DIGITS) for p in found.content)
    return Content(music, speech, other), shortened(found.embedding, _EMBEDDING_DIGITS)


def shortened(values: NDArray[np.float32], digits: int = _DIGITS) -> tuple[float, ...]:
    """Round to so many significant digits or one more, to be short in JSON.

    Parameters
    ----------
    values
        Finite [shape=(n,), float32].
    digits
        Nine are enough for every float32.
    """
    wide = values.astype(np.float64)
    _, exponent = np.frexp(wide)
    scale = 10.0 ** (digits - 1 - np.floor((exponent - 1) * _LOG10_2))
    return tuple((np.round(wide * scale) / scale).tolist())


def end_markers(state: StreamState, recipe: Recipe) -> Iterator[FeatureVector]:
    """Yield the vectors without values that end a stream of which no window is left."""
    cursor = state.cursor
    end = recipe.span.end_seconds(cursor.window_index)
    heard_at = None if cursor.next_at is None else to_time(cursor.next_at)
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
            heard_at=heard_at,
        )
