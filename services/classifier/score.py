"""The classifier's core: a stream's running score and a window's probabilities, to a prediction.

Functions from values to values, idempotent by window index: a window that is already in the score
changes nothing and gives no prediction.
"""

from collections.abc import Sequence

import msgspec

from schemas import (
    SILENCE,
    UNKNOWN,
    Content,
    FeatureVector,
    GenrePrediction,
    ModelReference,
    Now,
    Place,
    WindowAnswer,
    prediction_event_id,
)
from schemas.votes import sharpen
from services.classifier.content import (
    Heard,
    Tally,
    count,
    less_sure,
    stream_without_genre,
    weight,
    without_genre,
)
from services.classifier.now import NowState
from services.classifier.tags import TagSum


class Score(msgspec.Struct, frozen=True):
    """What is known of a stream so far; small, and kept in a table.

    Attributes
    ----------
    origin
        Place of the stream's first chunk: it tells streams with one key apart.
    next_window
        Number of the first window that is not in the score.
    windows
        Number of windows in `total`; those without a genre are left out.
    total
        Sum of their probabilities by their weights, one a label.
    ended
        The stream is over.
    hidden
        How much less than `windows` their weights sum to.
    tally
        How many windows hold what.
    now
        What sounds now; ``None`` before any window, and from releases before 0.2.
    tags
        What heads say, by their names; of none unless some are served.
    """

    origin: Place
    next_window: int
    windows: int
    total: tuple[float, ...]
    ended: bool = False
    hidden: float = 0.0
    tally: Tally = Tally()
    now: NowState | None = None
    tags: dict[str, TagSum] = {}


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
    heard: Heard | None,
    labels: Sequence[str],
    now: NowState | None = None,
    tags: dict[str, TagSum] | None = None,
) -> Score:
    """Add a window to the score of its stream; a vector of another stream begins a new score."""
    if score is None or score.origin != vector.origin:
        score = Score(vector.origin, 0, 0, (0.0,) * len(labels))
    total, windows, hidden = score.total, score.windows, score.hidden
    if heard and heard.answer.probabilities:
        found = heard.answer.probabilities
        total = tuple(t + heard.weight * found[x] for t, x in zip(total, labels, strict=True))
        windows += 1
        hidden += 1.0 - heard.weight
    tally = count(score.tally, vector, heard.answer if heard else None)
    return Score(
        vector.origin,
        vector.window_index + 1,
        windows,
        total,
        vector.final,
        hidden,
        tally,
        now,
        tags or {},
    )


def hear_window(
    vector: FeatureVector,
    content: Content | None,
    probabilities: Sequence[float],
    labels: Sequence[str],
    silence_dbfs: float,
    unknown_below: float = 0.0,
) -> Heard | None:
    """Name a window's genre, or what it is without one; ``None`` for a vector without values.

    Parameters
    ----------
    content
        Of the vector, or ``None`` to give everything but silence a label of the model's.
    """
    if not vector.values:
        return None
    answer = without_genre(vector.level_dbfs, content, silence_dbfs)
    if answer:
        return Heard(answer, 0.0)
    counts = weight(content)
    scaled = less_sure(_scaled(probabilities), counts)
    return Heard(_answer(scaled, labels, unknown_below), counts)


def predict(
    score: Score,
    vector: FeatureVector,
    heard: Heard | None,
    labels: Sequence[str],
    model: ModelReference,
    unknown_below: float = 0.0,
    now: Now | None = None,
    sharpness: float = 0.0,
) -> GenrePrediction:
    """Make the prediction of a stream whose score includes this vector."""
    running = _running_answer(score, labels, unknown_below, sharpness)
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
        window=heard.answer if heard else None,
        final=vector.final,
        missing_chunks=vector.missing_chunks,
        heard_at=vector.heard_at,
        now=now,
        content=vector.content,
        shares=score.tally.shares,
        level_dbfs=vector.level_dbfs if heard else None,
    )


def _running_answer(
    score: Score, labels: Sequence[str], unknown_below: float, sharpness: float
) -> WindowAnswer:
    """Answer for the stream so far: its genre, or what it is without one."""
    answer = stream_without_genre(score.tally)
    if answer:
        return answer
    if not score.windows:
        return WindowAnswer(SILENCE, 1.0, {})
    weights = score.windows - score.hidden
    mean = _scaled([t / weights for t in score.total])
    return _answer(sharpen(mean, weights, sharpness), labels, unknown_below)


def _scaled(probabilities: Sequence[float]) -> list[float]:
    """Scale probabilities to sum to 1, which float32 misses by a little."""
    total = sum(probabilities)
    return [min(1.0, max(0.0, p / total)) for p in probabilities]


def _answer(
    probabilities: Sequence[float], labels: Sequence[str], unknown_below: float
) -> WindowAnswer:
    """Pair probabilities with labels."""
    by_label = dict(zip(labels, probabilities, strict=True))
    label = max(by_label, key=by_label.__getitem__)
    confidence = by_label[label]
    return WindowAnswer(label if confidence >= unknown_below else UNKNOWN, confidence, by_label)
