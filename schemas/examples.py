"""An example of each message, as the AsyncAPI document and the tests show them."""

from typing import Final

from schemas.messages import (
    AudioChunk,
    Content,
    FeatureVector,
    GenrePrediction,
    ModelReference,
    Now,
    Place,
    Shares,
    WindowAnswer,
    feature_event_id,
    prediction_event_id,
)
from schemas.segments import GenreSegment, segment_event_id
from schemas.stations import Station, StationEvent, station_event_id
from schemas.tags import TagPrediction

_MODEL: Final = ModelReference("extra-trees-seed-25", "1.0.0")
ORIGIN: Final = Place("audio.chunks", 3, 1042)
TIMESTAMP_MS: Final = 1_767_225_600_000
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

EXAMPLE_CHUNK: Final = AudioChunk(
    data=b"",
    stream_id="radio-1",
    content_type="audio/flac",
    final=True,
    sequence=42,
    traceparent=TRACEPARENT,
    captured_at=TIMESTAMP_MS,
)
EXAMPLE_VECTOR: Final = FeatureVector(
    event_id=feature_event_id(ORIGIN, "seed-25", 7),
    stream_id="radio-1",
    origin=ORIGIN,
    feature_set="seed-25",
    window_index=7,
    start_seconds=21.0,
    end_seconds=24.0,
    level_dbfs=-17.42,
    values=(0.35008812, 1784.1658, 2002.449),
    heard_at="2026-01-01T00:00:00.000Z",
    content=Content(0.96, 0.04, 0.02),
)
EXAMPLE_PREDICTION: Final = GenrePrediction(
    event_id=prediction_event_id(EXAMPLE_VECTOR, _MODEL),
    stream_id="radio-1",
    origin=ORIGIN,
    feature_set="seed-25",
    model=_MODEL,
    window_index=7,
    start_seconds=21.0,
    end_seconds=24.0,
    label="jazz",
    confidence=0.75,
    probabilities={"blues": 0.25, "jazz": 0.75},
    windows=8,
    window=WindowAnswer("blues", 0.5, {"blues": 0.5, "jazz": 0.5}),
    heard_at="2026-01-01T00:00:00.000Z",
    content=Content(0.96, 0.04, 0.02),
    shares=Shares(1.0, 0.125, 0.0, 0.0),
    now=Now("jazz", 0.75, {"blues": 0.25, "jazz": 0.75}, "2025-12-31T23:59:39.000Z"),
    level_dbfs=-17.42,
)
EXAMPLE_SEGMENT: Final = GenreSegment(
    event_id=segment_event_id(ORIGIN, "seed-25", 0, _MODEL.name),
    stream_id="radio-1",
    origin=ORIGIN,
    feature_set="seed-25",
    model=_MODEL,
    label="jazz",
    began_at="2025-12-31T23:59:39.000Z",
    ended_at="2026-01-01T00:03:00.000Z",
    start_seconds=0.0,
    end_seconds=198.0,
    seconds=201.0,
    heard_seconds=198.0,
    confidence=0.75,
    probabilities={"blues": 0.25, "jazz": 0.75},
    windows=66,
    missing_chunks=1,
    shares=Shares(1.0, 0.125, 0.0, 0.0),
)
_HEAD: Final = ModelReference("tags-seed-25", "1.0.0")
EXAMPLE_TAGS: Final = TagPrediction(
    event_id=prediction_event_id(EXAMPLE_VECTOR, _HEAD),
    stream_id="radio-1",
    origin=ORIGIN,
    feature_set="seed-25",
    model=_HEAD,
    window_index=7,
    start_seconds=21.0,
    end_seconds=24.0,
    tags={"female vocalists": 0.5, "jazz": 0.4375},
    windows=8,
    window={"jazz": 0.625, "female vocalists": 0.375, "guitar": 0.125},
    heard_at="2026-01-01T00:00:00.000Z",
)
EXAMPLE_STATION: Final = Station(
    id="radio-1",
    name="Radio One",
    url="https://radio.example/live.mp3",
    tags=("jazz", "berlin"),
    timezone="Europe/Berlin",
)
EXAMPLE_STATION_EVENT: Final = StationEvent(
    event_id=station_event_id("radio-1", "2026-01-01T00:00:00.000Z", "lost"),
    station_id="radio-1",
    kind="lost",
    at="2026-01-01T00:00:00.000Z",
    reason="timeout",
    message="no audio came for 10 s: we connect again by ourselves",
    sequence=1042,
    receiver="receiver-1",
)
