"""The classifier's core: a stream's running score and a window's probabilities, to a prediction.

Functions from values to values, idempotent by window index: a window that is already in the score
changes nothing and gives no prediction.
"""

from collections.abc import Sequence

import msgspec

from schemas import (
    SILENCE,
    UNKNOWN,
    FeatureVector,
    GenrePrediction,
    ModelReference,
    Origin,
    WindowAnswer,
    prediction_event_id,
)


class Score(msgspec.Struct, frozen=True):
    """What is known of a stream so far; small, and kept in a table.

    Attributes
    ----------
    origin
        Place of the stream's first chunk: it tells streams with one key apart.
    next_window
        Number of the first window that is not in the score.
    windows
        Number of windows in `total`; silent ones are left out.
    total
        Sum of their probabilities, one a label.
    ended
        The stream is over.
    """

    origin: Origin
    next_window: int
    windows: int
    total: tuple[float, ...]
    ended: bool = False


def is_done(score: Score | None, vector: FeatureVector) -> bool:
    """Tell whether a vector is a repetition: of a window in the score, or of an older stream."""
    if score is None:
        return False
    if score.origin == vector.origin:
        return score.ended or vector.window_index < score.next_window
    here, there = vector.origin, score.origin
    return (here.topic, here.partition) == (there.topic, there.partition) and (
        here.offset < there.offset
    )


def add(
    score: Score | None,
    vector: FeatureVector,
    answer: WindowAnswer | None,
    labels: Sequence[str],
) -> Score:
    """Add a window to the score of its stream; a vector of another stream begins a new score."""
    if score is None or score.origin != vector.origin:
        score = Score(vector.origin, 0, 0, (0.0,) * len(labels))
    total, windows = score.total, score.windows
    if answer and answer.probabilities:
        total = tuple(t + answer.probabilities[x] for t, x in zip(total, labels, strict=True))
        windows += 1
    return Score(vector.origin, vector.window_index + 1, windows, total, vector.final)


def answer_window(
    vector: FeatureVector,
    probabilities: Sequence[float],
    labels: Sequence[str],
    silence_dbfs: float,
    unknown_below: float = 0.0,
) -> WindowAnswer | None:
    """Name the genre of a window, unknown or silence; ``None`` for a vector without values."""
    if not vector.values:
        return None
    if vector.level_dbfs < silence_dbfs:
        return WindowAnswer(SILENCE, 1.0, {})
    return _answer(probabilities, labels, unknown_below)


def predict(
    score: Score,
    vector: FeatureVector,
    answer: WindowAnswer | None,
    labels: Sequence[str],
    model: ModelReference,
    unknown_below: float = 0.0,
) -> GenrePrediction:
    """Make the prediction of a stream whose score includes this vector."""
    running = WindowAnswer(SILENCE, 1.0, {})
    if score.windows:
        means = [total / score.windows for total in score.total]
        running = _answer(means, labels, unknown_below)
    return GenrePrediction(
        event_id=prediction_event_id(vector, model),
        stream_id=vector.stream_id,
        origin=vector.origin,
        feature_set=vector.feature_set,
        model=model,
        window_index=vector.window_index,
        start_seconds=vector.start_seconds,
        end_seconds=vector.end_seconds,
        label=running.label,
        confidence=running.confidence,
        probabilities=running.probabilities,
        windows=score.windows,
        window=answer,
        final=vector.final,
        missing_chunks=vector.missing_chunks,
    )


def _answer(
    probabilities: Sequence[float], labels: Sequence[str], unknown_below: float
) -> WindowAnswer:
    """Pair probabilities with labels, scaled to sum to 1, which float32 misses by a little."""
    total = sum(probabilities)
    scaled = {x: min(1.0, max(0.0, p / total)) for x, p in zip(labels, probabilities, strict=True)}
    label = max(scaled, key=scaled.__getitem__)
    confidence = scaled[label]
    return WindowAnswer(label if confidence >= unknown_below else UNKNOWN, confidence, scaled)
