"""Made-up messages of stations: deterministic, as services would send them."""

from msgspec.structs import replace

from schemas import (
    Content,
    GenrePrediction,
    GenreSegment,
    ModelReference,
    Now,
    Place,
    StationEvent,
    WindowAnswer,
    encode_event,
    segment_event_id,
    station_event_id,
    to_time,
)
from schemas.examples import EXAMPLE_PREDICTION, EXAMPLE_SEGMENT

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MODEL = ModelReference("a-model", "1.0.0")
LABELS = ("jazz", "rock", "speech", "silence")


def prediction(station: str, index: int, start_ms: int = START_MS, **changes: object) -> bytes:
    """Return window `index` of a station, 3 s each; its label changes each 100 windows."""
    label = LABELS[index // 100 % len(LABELS)]
    moment = to_time(start_ms + 3000 * index)
    made: GenrePrediction = replace(
        EXAMPLE_PREDICTION,
        event_id=f"audio.chunks/0/{station}/musicnn-200/{index}/a-model",
        stream_id=station,
        origin=Place("audio.chunks", 0, 0),
        model=MODEL,
        window_index=index,
        start_seconds=3.0 * index,
        end_seconds=3.0 * index + 3,
        window=WindowAnswer(label, 0.9, {}),
        heard_at=moment,
        content=None if label == "silence" else Content(0.9, 0.9 * (label == "speech"), 0.0),
        now=Now(label, 0.9, {}, moment),
        level_dbfs=-120.0 if label == "silence" else -20.0,
        **changes,
    )
    return encode_event(made)


def segment(
    station: str, first: int, label: str = "jazz", windows: int = 100, start_ms: int = START_MS
) -> bytes:
    """Return the segment of a station's windows from `first` on."""
    begin = start_ms + 3000 * first
    made: GenreSegment = replace(
        EXAMPLE_SEGMENT,
        event_id=segment_event_id(Place("audio.chunks", 0, 0), station, first, "a-model"),
        stream_id=station,
        model=MODEL,
        label=label,
        began_at=to_time(begin),
        ended_at=to_time(begin + 3000 * windows),
        seconds=3.0 * windows,
        heard_seconds=3.0 * windows,
        windows=windows,
    )
    return encode_event(made)


def event(station: str, kind: str, at_ms: int, **fields: object) -> bytes:
    """Return an event of a station."""
    at = to_time(at_ms)
    made = StationEvent(
        event_id=station_event_id(station, at, kind),
        station_id=station,
        kind=kind,  # type: ignore[arg-type]  # a kind, by the tests
        at=at,
        **fields,  # type: ignore[arg-type]
    )
    return encode_event(made)
