"""From the messages to what `now` folds, and from its results back to messages."""

from collections.abc import Sequence
from typing import Final

from schemas import (
    FeatureVector,
    GenreSegment,
    ModelReference,
    Now,
    segment_event_id,
    to_milliseconds,
    to_time,
)
from services.classifier.content import Heard, Tally, count
from services.classifier.now import (
    Border,
    Finished,
    NowState,
    Rule,
    carried,
    finish,
    fold,
    last_seconds,
)
from services.classifier.sums import THOUSAND, NowWindow

#: A vector may claim any number of seconds; this is 30,000 years.
_LONGEST_SECONDS: Final = 1e12


def take_in(
    state: NowState | None,
    vector: FeatureVector,
    heard: Heard | None,
    rule: Rule,
    model: ModelReference,
    *,
    is_new: bool,
) -> tuple[NowState | None, tuple[GenreSegment, ...]]:
    """Take in a window, and give the segments that end with it.

    Parameters
    ----------
    state
        After the window before; of the stream before when this is the first of a new one.
    vector, heard
        The window, and its answer; no answer for a vector without values.
    rule
        When a label changes.
    model
        That answered.
    is_new
        Whether the vector is the first of its stream.
    """
    if is_new:
        state = carried(state, _at_ms(vector))
    finished: list[tuple[Finished, bool]] = []
    if heard:
        state, over = fold(state, to_window(vector, heard, rule.labels), rule)
        finished += [(over, False)] if over else []
    if vector.final and state:
        last = finish(state) if heard else _finish_without_window(state, vector)
        finished += [(last, True)] if last else []
    segments = (to_segment(over, vector, rule, model, final) for over, final in finished)
    return state, tuple(segments)


def to_window(vector: FeatureVector, heard: Heard, labels: Sequence[str]) -> NowWindow:
    """Round a window to what is folded."""
    answer = heard.answer
    has_genre = bool(answer.probabilities)
    start_ms = _milliseconds(vector.start_seconds)
    return NowWindow(
        vector.window_index,
        start_ms,
        max(0, _milliseconds(vector.end_seconds) - start_ms),
        _at_ms(vector),
        "" if has_genre else answer.label,
        round(THOUSAND * (heard.weight if has_genre else answer.confidence)),
        tuple(round(THOUSAND * answer.probabilities[x]) for x in labels) if has_genre else (),
        vector.missing_chunks,
        _held(count(Tally(), vector, answer)),
    )


def to_now(state: NowState | None, rule: Rule) -> Now | None:
    """Say what sounds now; ``None`` before any window."""
    if state is None:
        return None
    sums = last_seconds(state)
    return Now(
        state.label,
        sums.confidence(state.label, rule.labels),
        sums.genres(rule.labels),
        _time(state.since_ms),
    )


def to_segment(
    over: Finished, vector: FeatureVector, rule: Rule, model: ModelReference, final: bool
) -> GenreSegment:
    """Make the message of a segment; a vector of its stream says which stream it is of."""
    heard_seconds = over.sums.audio_ms / THOUSAND
    return GenreSegment(
        event_id=segment_event_id(vector.origin, vector.feature_set, over.begun.index, model.name),
        stream_id=vector.stream_id,
        origin=vector.origin,
        feature_set=vector.feature_set,
        model=model,
        label=over.label,
        began_at=_time(over.begun.at_ms),
        ended_at=_time(over.ended.at_ms),
        start_seconds=over.begun.start_ms / THOUSAND,
        end_seconds=over.ended.start_ms / THOUSAND,
        seconds=max(heard_seconds, _clock_seconds(over)),
        heard_seconds=heard_seconds,
        confidence=over.sums.confidence(over.label, rule.labels),
        probabilities=over.sums.genres(rule.labels),
        windows=over.sums.windows,
        missing_chunks=over.sums.missing_chunks,
        shares=over.sums.shares,
        continues=over.continues,
        final=final,
    )


def _clock_seconds(over: Finished) -> float:
    """Return how long a segment is by the clock, or by the stream's own time without one."""
    begun, ended = over.begun, over.ended
    if begun.at_ms is None or ended.at_ms is None:
        return (ended.start_ms - begun.start_ms) / THOUSAND
    return (ended.at_ms - begun.at_ms) / THOUSAND


def _finish_without_window(state: NowState, vector: FeatureVector) -> Finished | None:
    """Return the last segment of a stream that a vector without values ends."""
    ended = Border(vector.window_index, _milliseconds(vector.start_seconds), _at_ms(vector))
    return finish(state, ended, vector.missing_chunks)


def _milliseconds(seconds: float) -> int:
    return round(THOUSAND * min(seconds, _LONGEST_SECONDS))


def _held(tally: Tally) -> int:
    counts = (tally.windows, tally.music, tally.speech, tally.other, tally.silence)
    return sum(bool(n) << bit for bit, n in enumerate(counts))


def _at_ms(vector: FeatureVector) -> int | None:
    return None if vector.heard_at is None else to_milliseconds(vector.heard_at)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else to_time(at_ms)
