"""Windows of made-up answers, and what the fold makes of them."""

from collections.abc import Iterable, Sequence

import msgspec

from schemas import GenreSegment, Place, to_time
from schemas.messages import FeatureVector, ModelReference, WindowAnswer
from services.classifier.content import Heard
from services.classifier.now import NowState, Rule
from services.classifier.segments import take_in

LABELS = ("blues", "jazz", "metal", "rock")
RULE = Rule(LABELS, unknown_below=0.3)
MODEL = ModelReference("a-model", "1.0.0")
START = 1_767_225_600_000

#: A window: its label and how sure it is.
Answer = tuple[str, float]


def heard(label: str, sure: float = 0.9) -> Heard:
    """Return the answer of a window; the other genres share what is left."""
    if label not in LABELS:
        return Heard(WindowAnswer(label, sure, {}), 0.0)
    rest = (1.0 - sure) / (len(LABELS) - 1)
    probabilities = {x: sure if x == label else rest for x in LABELS}
    return Heard(WindowAnswer(label, sure, probabilities), 1.0)


def vector(
    index: int, *, start: int = 0, at_ms: int | None = START, **more: object
) -> FeatureVector:
    """Return the vector of a window of 3 s; its stream began at `at_ms`."""
    found = FeatureVector(
        event_id=f"t/0/{start}/cheap/{index}",
        stream_id="radio-1",
        origin=Place("t", 0, start),
        feature_set="cheap",
        window_index=index,
        start_seconds=3.0 * index,
        end_seconds=3.0 * index + 3.0,
        level_dbfs=-20.0,
        values=(1.0,),
        heard_at=None if at_ms is None else to_time(at_ms + 3000 * index),
    )
    return msgspec.structs.replace(found, **more)


def play(
    answers: Iterable[Answer],
    *,
    rule: Rule = RULE,
    state: NowState | None = None,
    start: int = 0,
    at_ms: int | None = START,
    ends: bool = True,
) -> tuple[list[NowState], list[GenreSegment]]:
    """Fold the windows of one stream; return the state after each, and the segments."""
    states: list[NowState] = []
    segments: list[GenreSegment] = []
    windows = list(answers)
    for index, (label, sure) in enumerate(windows):
        final = ends and index == len(windows) - 1
        row = vector(index, start=start, at_ms=at_ms, final=final)
        state, over = take_in(state, row, heard(label, sure), rule, MODEL, is_new=index == 0)
        assert state
        states.append(state)
        segments += over
    return states, segments


def runs(*parts: tuple[str, int]) -> list[Answer]:
    """Return so many sure windows of each label in turn."""
    return [(label, 0.9) for label, count in parts for _ in range(count)]


def spans(segments: Sequence[GenreSegment]) -> list[tuple[str, float, float]]:
    """Return label, start and end of each."""
    return [(s.label, s.start_seconds, s.end_seconds) for s in segments]
