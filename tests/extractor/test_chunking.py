"""I1: the same audio cut into chunks in any way gives the same feature vectors, bit for bit."""

import itertools
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import FEATURE_SETS, Audio, feature_set, resample, split
from schemas import AudioChunk, FeatureVector
from services.extractor.state import Recipe
from services.extractor.vectors import shortened
from tests.audio import Integers, integers, music, noise
from tests.extractor.streams import CHEAP, CODECS, END, RECIPE, RECIPES, Codec, chunk, run, vectors

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=["behind", "apart"])
RATES = (8_000, 22_050, 44_100, 48_000)


@st.composite
def streams(draw: st.DrawFn) -> tuple[Integers, int, list[AudioChunk]]:
    """Audio, its sample rate, and the same in chunks, the last one or an empty one final."""
    rate = draw(st.sampled_from(RATES))
    channels = draw(st.sampled_from([1, 2, 6]))
    milliseconds = draw(st.integers(500, 5_000))
    frames = integers(noise(milliseconds / 1000, rate, channels, seed=draw(st.integers(0, 9))))
    window = int(1.5 * rate)
    near_a_border = st.builds(
        lambda index, step: index * window + step,
        st.integers(0, 3),
        st.sampled_from([-1, 0, 1, rate // 5]),
    )
    cuts = draw(st.sets(st.integers(1, len(frames) - 1) | near_a_border, max_size=12))
    pieces = np.split(frames, sorted(cut for cut in cuts if 0 < cut < len(frames)))
    marked_at_once = draw(st.booleans())
    chunks = [
        chunk(
            piece,
            rate,
            draw(st.sampled_from(CODECS)),
            final=marked_at_once and number == len(pieces),
        )
        for number, piece in enumerate(pieces, start=1)
    ]
    return frames, rate, chunks if marked_at_once else [*chunks, END]


def without_ends(events: list[FeatureVector]) -> list[FeatureVector]:
    """Return the vectors of windows; which message carries the end depends on the chunks."""
    return [msgspec.structs.replace(event, final=False) for event in events if event.values]


@every_recipe
@settings(max_examples=150)
@given(stream=streams())
def test_chunk_borders_change_nothing(
    recipe: Recipe, stream: tuple[Integers, int, list[AudioChunk]]
) -> None:
    frames, rate, chunks = stream
    whole = run([chunk(frames, rate, final=True)], recipe)
    cut = run(chunks, recipe)
    assert without_ends(vectors(cut)) == without_ends(vectors(whole))
    finals = [event.final for event in vectors(cut)]
    assert finals == [False] * (len(finals) - 1) + [True] * bool(finals)
    assert bool(finals) == (len(frames) >= rate)
    assert cut[-1].state is None
    assert bool(cut[-1].dead_letters) == bool(whole[-1].dead_letters) == (len(frames) < rate)


@st.composite
def cut_anywhere(draw: st.DrawFn) -> tuple[AudioChunk, list[AudioChunk]]:
    """Raw PCM in a message, and the same cut between any two bytes."""
    channels, encoding = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from(["s16le", "f32le"]))
    frames = noise(draw(st.integers(1_000, 4_000)) / 1000, 8_000, channels)
    data = (frames if encoding == "f32le" else integers(frames)).tobytes()
    content_type = f"audio/pcm;rate=8000;channels={channels};encoding={encoding}"
    somewhere = st.integers(1, len(data) - 1) | st.integers(1, 40)
    cuts = [0, *sorted(draw(st.sets(somewhere, max_size=12))), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(cuts)]
    return AudioChunk(data, content_type=content_type), [
        AudioChunk(piece, content_type=content_type) for piece in pieces
    ]


@every_recipe
@settings(max_examples=100)
@given(stream=cut_anywhere())
def test_raw_pcm_may_be_cut_within_frames(
    recipe: Recipe, stream: tuple[AudioChunk, list[AudioChunk]]
) -> None:
    whole, pieces = stream
    cut = run([*pieces, END], recipe)
    assert without_ends(vectors(cut)) == without_ends(vectors(run([whole, END], recipe)))
    assert not any(step.dead_letters for step in cut)
    assert sorted(o for step in cut for o in step.released) == list(range(len(pieces) + 1))


def test_half_a_frame_that_nothing_completes_is_told() -> None:
    audio = chunk(integers(noise(2.0, 8_000)), 8_000, "pcm")
    odd = replace(audio, data=audio.data[:-1])
    steps = run([odd, chunk(integers(noise(2.0, 8_000)), 8_000, "wav"), END])
    assert "1 bytes of a frame" in steps[1].note
    assert sum(len(step.events) for step in steps) == 3


def test_frames_begin_anew_behind_a_gap() -> None:
    audio = chunk(integers(noise(2.0, 8_000)), 8_000, "pcm")
    odd, even = replace(audio, data=audio.data[:-1], sequence=0), replace(audio, sequence=2)
    whole = run([replace(audio, data=odd.data[:-1], sequence=0), even, END])
    assert [e.values for e in vectors(run([odd, even, END]))] == [e.values for e in vectors(whole)]


@every_recipe
@settings(max_examples=50)
@given(stream=streams())
def test_every_chunk_is_released_once(
    recipe: Recipe, stream: tuple[Integers, int, list[AudioChunk]]
) -> None:
    _, _, chunks = stream
    released = [offset for step in run(chunks, recipe) for offset in step.released]
    assert released == list(range(len(chunks)))


@every_recipe
@settings(max_examples=50)
@given(stream=streams())
def test_a_chunk_is_held_while_the_cursor_stands_in_it(
    recipe: Recipe, stream: tuple[Integers, int, list[AudioChunk]]
) -> None:
    for step in run(stream[2], recipe):
        if step.saved and step.state and step.saved.skip:
            assert step.saved.offset in step.state.held
            assert step.saved.offset not in step.released


@settings(max_examples=50)
@given(streams())
def test_the_windows_are_those_of_the_whole_file(
    stream: tuple[Integers, int, list[AudioChunk]],
) -> None:
    frames, rate, chunks = stream
    mono = frames.reshape(len(frames), -1)
    audio = Audio((mono / np.float32(32768)).mean(axis=1, dtype=np.float32), rate)
    windows = list(split(audio, CHEAP.window_seconds))
    events = without_ends(vectors(run(chunks)))
    assert [(e.window_index, e.start_seconds, e.end_seconds) for e in events] == [
        (w.index, w.start_seconds, w.end_seconds) for w in windows
    ]
    assert all(event.event_id.endswith(f"/0/cheap/{event.window_index}") for event in events)


@settings(max_examples=50)
@given(streams())
def test_windows_apart_are_pieces_of_the_whole_file(
    stream: tuple[Integers, int, list[AudioChunk]],
) -> None:
    frames, rate, chunks = stream
    mono = (frames.reshape(len(frames), -1) / np.float32(32768)).mean(axis=1, dtype=np.float32)
    hop, length = round(1.9 * rate), round(1.5 * rate)
    starts = range(0, len(mono) - rate + 1, hop)
    expected = [
        CHEAP.extract(resample(Audio(mono[start : start + length], rate), CHEAP.sample_rate))
        for start in starts
    ]
    events = without_ends(vectors(run(chunks, RECIPES[1])))
    assert [event.values for event in events] == [shortened(values) for values in expected]
    assert [event.start_seconds for event in events] == [start / rate for start in starts]


@pytest.mark.parametrize(
    ("channels", "rate", "codec"),
    [(1, 22_050, "pcm"), (2, 44_100, "flac"), (6, 48_000, "wav"), (2, 8_000, "pcm")],
)
def test_real_features_do_not_depend_on_chunks(channels: int, rate: int, codec: Codec) -> None:
    mono = music(4.0, rate)
    gains = np.linspace(0.5, 1.0, channels, dtype=np.float32)
    frames = integers(mono[:, None] * gains)
    recipe = Recipe(tuple(feature_set(name) for name in FEATURE_SETS))
    whole = vectors(run([chunk(frames, rate, final=True)], recipe))
    pieces = np.array_split(frames, 11)
    cut = vectors(run([*(chunk(piece, rate, codec) for piece in pieces), END], recipe))
    assert len(whole) == 2 * len(FEATURE_SETS)
    assert cut == whole


def test_a_cheap_vector_tells_windows_apart() -> None:
    """Else the properties above could not fail."""
    values = {event.values for event in vectors(run([chunk(integers(noise(6, 8000)), 8000), END]))}
    assert len(values) == 5
    assert RECIPE.window_seconds == 1.5
