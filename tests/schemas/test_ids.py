from hypothesis import given
from hypothesis import strategies as st

from schemas import (
    ModelReference,
    Place,
    feature_event_id,
    keyless_stream_id,
    prediction_event_id,
)
from schemas.examples import EXAMPLE_VECTOR

count = st.integers(0, 1000)
origins = st.builds(Place, st.sampled_from(["audio.chunks", "a.audio.chunks"]), count, count)
windows = st.tuples(origins, st.sampled_from(["seed-25", "librosa-52"]), count)


def test_examples() -> None:
    origin = Place("audio.chunks", 3, 1042)
    assert feature_event_id(origin, "librosa-52", 7) == "audio.chunks/3/1042/librosa-52/7"
    assert keyless_stream_id(origin) == "audio.chunks-3-1042"
    model = ModelReference("forest", "1.0.0")
    assert prediction_event_id(EXAMPLE_VECTOR, model) == f"{EXAMPLE_VECTOR.event_id}/forest"


@given(st.lists(windows, min_size=2, unique=True))
def test_different_windows_have_different_ids(windows: list[tuple[Place, str, int]]) -> None:
    assert len({feature_event_id(*window) for window in windows}) == len(windows)


@given(st.lists(origins, min_size=2, unique=True))
def test_different_keyless_messages_are_different_streams(places: list[Place]) -> None:
    assert len({keyless_stream_id(place) for place in places}) == len(places)


def test_the_id_of_a_prediction_tells_models_apart_but_not_their_versions() -> None:
    ids = [
        prediction_event_id(EXAMPLE_VECTOR, ModelReference(name, version))
        for name, version in [("a", "1.0.0"), ("a", "1.0.1"), ("b", "1.0.0")]
    ]
    assert ids[0] == ids[1] != ids[2]
