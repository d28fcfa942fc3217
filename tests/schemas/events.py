"""Strategies and examples of events."""

from hypothesis import strategies as st

from schemas import FeatureVector, GenrePrediction, ModelReference, Origin, WindowAnswer

text = st.text(max_size=20)
count = st.integers(0, 2**40)
seconds = st.floats(0.0, 1e6)
finite = st.floats(allow_nan=False, allow_infinity=False)
probability = st.floats(0.0, 1.0)
probabilities = st.dictionaries(text, probability, max_size=5)
origins = st.builds(Origin, text, count, count)

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
)
