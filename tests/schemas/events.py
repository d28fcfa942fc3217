"""Strategies and examples of events."""

from hypothesis import strategies as st

from schemas import (
    Content,
    FeatureVector,
    GenrePrediction,
    GenreSegment,
    ModelReference,
    Now,
    Place,
    Shares,
    StationEvent,
    WindowAnswer,
    to_time,
)

text = st.text(max_size=20)
count = st.integers(0, 2**40)
seconds = st.floats(0.0, 1e6)
finite = st.floats(allow_nan=False, allow_infinity=False)
probability = st.floats(0.0, 1.0)
probabilities = st.dictionaries(text, probability, max_size=5)
times = st.integers(0, 253_402_300_799_000).map(to_time)
contents = st.none() | st.builds(Content, probability, probability, probability)
shares = st.none() | st.builds(Shares, probability, probability, probability, probability)
origins = st.builds(Place, text, count, count)

feature_vectors = st.builds(
    FeatureVector,
    event_id=text,
    stream_id=text,
    origin=origins,
    feature_set=text,
    window_index=count,
    start_seconds=seconds,
    end_seconds=seconds,
    level_dbfs=finite,
    values=st.lists(finite, max_size=8).map(tuple),
    final=st.booleans(),
    missing_chunks=count,
    heard_at=st.none() | times,
    content=contents,
)
predictions = st.builds(
    GenrePrediction,
    event_id=text,
    stream_id=text,
    origin=origins,
    feature_set=text,
    model=st.builds(ModelReference, text, text),
    window_index=count,
    start_seconds=seconds,
    end_seconds=seconds,
    label=text,
    confidence=probability,
    probabilities=probabilities,
    windows=count,
    window=st.none() | st.builds(WindowAnswer, text, probability, probabilities),
    final=st.booleans(),
    missing_chunks=count,
    heard_at=st.none() | times,
    content=contents,
    shares=shares,
    now=st.none() | st.builds(Now, text, probability, probabilities, st.none() | times),
)
segments = st.builds(
    GenreSegment,
    event_id=text,
    stream_id=text,
    origin=origins,
    feature_set=text,
    model=st.builds(ModelReference, text, text),
    label=text,
    began_at=st.none() | times,
    ended_at=st.none() | times,
    start_seconds=seconds,
    end_seconds=seconds,
    seconds=seconds,
    heard_seconds=seconds,
    confidence=probability,
    probabilities=probabilities,
    windows=count,
    missing_chunks=count,
    shares=shares,
    continues=st.booleans(),
    final=st.booleans(),
)
station_events = st.builds(
    StationEvent,
    event_id=text,
    station_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True),
    kind=st.sampled_from(("connected", "lost", "silent", "sounding", "title", "refused", "moved")),
    at=times,
    reason=st.none() | text,
    message=st.none() | text,
    title=st.none() | text,
    missing_seconds=st.none() | seconds,
    level_dbfs=st.none() | st.floats(-120.0, 0.0),
    sequence=st.none() | count,
    receiver=st.none() | text,
)
