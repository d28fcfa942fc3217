"""When streams begin and end, and what becomes of bad messages."""

from dataclasses import replace

import numpy as np
import pytest

from features import FLOOR_DBFS
from schemas import AudioChunk, Place
from services.extractor.extractor import Extractor
from services.extractor.state import Recipe, StreamState
from services.extractor.stream import ExtractorStep, advance, close
from services.processing.records import Record
from tests.audio import integers, noise
from tests.extractor.streams import CHEAP, END, RECIPE, chunk, record, run, vectors

RATE = 8_000


def audio(seconds: float, *, rate: int = RATE, final: bool = False) -> AudioChunk:
    return chunk(integers(noise(seconds, rate)), rate, final=final)


def opened(*messages: AudioChunk) -> StreamState:
    state = run(messages)[-1].state
    assert state is not None
    return state


def letters(steps: list[ExtractorStep]) -> list[tuple[int, str]]:
    return [
        (letter.record.place.offset, letter.error.code)
        for step in steps
        for letter in step.dead_letters
    ]


def test_a_window_is_emitted_as_soon_as_it_is_complete() -> None:
    steps = run([audio(1.0), audio(1.0), audio(1.0)])
    assert [[event.window_index for event in step.events] for step in steps] == [[], [0], [1]]
    assert [step.released for step in steps] == [(), (0,), (1, 2)]
    assert not any(event.final for event in vectors(steps))


def test_the_state_holds_no_more_than_a_window() -> None:
    state = opened(audio(100.0), audio(0.25))
    assert state.pending.samples == sum(map(len, state.pending.unpacked())) < 1.5 * RATE
    assert len(state.held) == 2


def test_the_end_comes_with_the_last_window_or_alone() -> None:
    with_window = vectors(run([audio(1.5), audio(1.5, final=True)]))
    assert [(event.window_index, event.final) for event in with_window] == [(0, False), (1, True)]
    alone = vectors(run([audio(3.0), END]))
    assert [(event.window_index, event.final) for event in alone] == [
        (0, False),
        (1, False),
        (2, True),
    ]
    end = alone[-1]
    assert (end.values, end.level_dbfs) == ((), FLOOR_DBFS)
    assert (end.start_seconds, end.end_seconds) == (3.0, 3.0)
    assert end.event_id == "audio.chunks/0/0/cheap/2"


def test_every_feature_set_has_its_own_vectors_and_end() -> None:
    recipe = Recipe((CHEAP, replace(CHEAP, name="dear")))
    events = vectors(run([audio(1.5), END], recipe))
    assert [(event.feature_set, event.window_index, event.final) for event in events] == [
        ("cheap", 0, False),
        ("dear", 0, False),
        ("cheap", 1, True),
        ("dear", 1, True),
    ]


def test_a_key_used_again_is_another_stream() -> None:
    events = vectors(run([audio(1.5, final=True), audio(1.5, final=True)]))
    assert [event.origin.offset for event in events] == [0, 1]
    assert len({event.event_id for event in events}) == 2
    assert all(event.final and event.window_index == 0 for event in events)


@pytest.mark.parametrize(
    ("later_ms", "rate", "begins_anew"),
    [(10_000, RATE, False), (10_001, RATE, True), (-60_000, RATE, False), (0, 16_000, True)],
)
def test_silence_or_another_rate_begins_a_new_stream(
    later_ms: int, rate: int, begins_anew: bool
) -> None:
    state = opened(audio(2.0))
    message = record(1, audio(1.5, rate=rate), timestamp_ms=later_ms)
    steps = advance(state, message, RECIPE)
    assert len(steps) == 1 + begins_anew
    assert steps[-1].events[0].origin.offset == begins_anew
    if begins_anew:
        assert steps[0].released == (0,)
        assert steps[0].events[-1].final


def test_a_message_without_a_key_is_a_stream_of_its_own() -> None:
    (step,) = advance(None, record(7, audio(3.5), key=None), RECIPE)
    assert [event.final for event in step.events] == [False, True]
    assert {event.stream_id for event in step.events} == {"audio.chunks-0-7"}
    assert (step.state, step.released) == (None, (7,))


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (AudioChunk(b""), "corrupt-audio"),
        (AudioChunk(np.random.default_rng(0).bytes(1_000_000)), "unsupported-audio"),
        (AudioChunk(audio(1.0).data[:20]), "corrupt-audio"),
        (AudioChunk(b"\0" * 16, content_type="video/mp4"), "unsupported-audio"),
        (
            AudioChunk(b"\xff" * 16, content_type="audio/pcm;rate=8000;encoding=f32le"),
            "invalid-samples",
        ),
    ],
)
def test_a_bad_chunk_is_a_dead_letter_and_its_stream_goes_on(bad: AudioChunk, code: str) -> None:
    steps = run([audio(1.0), bad, audio(2.0), END])
    good = run([audio(1.0), audio(2.0), END])
    assert letters(steps) == [(1, code)]
    assert steps[1].released == (1,)
    assert steps[1].dead_letters[0].record.value == bad.data
    assert vectors(steps) == vectors(good)


def test_a_bad_chunk_that_is_final_ends_its_stream() -> None:
    steps = run([audio(1.5), AudioChunk(b"fLaC", final=True)])
    assert letters(steps) == [(1, "corrupt-audio")]
    assert [(event.window_index, event.final) for event in vectors(steps)] == [
        (0, False),
        (1, True),
    ]
    assert steps[-1].state is None


@pytest.mark.parametrize(
    "message",
    [
        record(3, END),
        record(3, audio(2.0), key=b"\xff"),
        record(3, audio(2.0), key=b"k" * 1025),
        record(3, audio(2.0), headers=[("final", b"perhaps")]),
        record(3, audio(2.0), headers=[("content-type", b"\xff")]),
    ],
)
def test_bad_envelopes_are_dead_letters(message: Record) -> None:
    (step,) = advance(None, message, RECIPE)
    assert letters([step]) == [(3, "invalid-message")]
    assert (step.state, step.events, step.released) == (None, (), (3,))


def test_every_message_of_a_stream_too_short_is_a_dead_letter() -> None:
    steps = run([audio(0.1), audio(0.2), END])
    assert letters(steps) == [(0, "audio-too-short"), (1, "audio-too-short")]
    assert "ended after 0.3 s in 2 message(s), the shortest window is 1 s" in str(
        steps[-1].dead_letters[0].error
    )
    assert vectors(steps) == []


def test_a_short_rest_after_a_window_is_left_out() -> None:
    steps = run([audio(2.0, final=True)])
    assert [(event.window_index, event.final) for event in vectors(steps)] == [(0, True)]
    assert letters(steps) == []


def test_an_idle_stream_is_closed_with_its_rest() -> None:
    decision, end = close(opened(audio(2.75)), RECIPE)
    assert (decision.events, decision.released) == ((), ())
    assert [(event.window_index, event.final) for event in end.events] == [(1, True)]
    assert (end.state, end.released) == (None, (0,))


def test_the_end_of_a_stream_is_remembered_for_ten_minutes() -> None:
    extractor = Extractor(RECIPE)
    saved = run([audio(1.5, final=True)])[-1].saved
    assert saved
    assert not extractor.is_expired(saved, 1, 599.0)
    assert not extractor.is_expired(saved, 0, 601.0), "a replay may need it"
    assert not extractor.is_expired(saved, None, 601.0)
    assert extractor.is_expired(saved, 1, 601.0)


def test_a_later_cursor_is_further_on() -> None:
    """So that what a worker writes that lost its partitions changes nothing."""
    extractor = Extractor(RECIPE)
    begun = run([audio(2.0)])[-1]
    assert begun.state
    decision, end = close(begun.state, RECIPE)
    again = advance(None, record(9, audio(2.0)), RECIPE)[-1]
    cursors = [step.saved for step in (begun, decision, end, again)]
    progress = [extractor.progress(cursor) for cursor in cursors if cursor]
    assert len(progress) == 4
    assert sorted(set(progress)) == progress


def test_two_producers_with_one_key_are_one_stream_in_the_order_of_the_log() -> None:
    one, two = integers(noise(3.0, RATE, seed=1)), integers(noise(3.0, RATE, seed=2))
    halves = [
        piece for pair in zip(np.split(one, 4), np.split(two, 4), strict=True) for piece in pair
    ]
    mixed = vectors(run([*(chunk(piece, RATE, "pcm") for piece in halves), END]))
    joined = vectors(run([chunk(np.concatenate(halves), RATE, final=True)]))
    assert [event.values for event in mixed[:4]] == [event.values for event in joined]


def test_two_producers_with_one_key_and_two_rates_interrupt_each_other() -> None:
    """Every change of rate ends a stream; what is shorter than 1 s then is a dead letter."""
    steps = run([audio(1.2), audio(1.2, rate=16_000), audio(0.5), audio(1.2, rate=16_000), END])
    assert [(event.origin.offset, event.final) for event in vectors(steps)] == [
        (0, True),
        (1, True),
        (3, True),
    ]
    assert letters(steps) == [(2, "audio-too-short")]
    assert sorted(offset for step in steps for offset in step.released) == [0, 1, 2, 3, 4]


def test_channels_may_change_in_mid_stream() -> None:
    mono = integers(noise(1.0, RATE))
    stereo = np.stack([mono, mono], axis=1)
    changed = vectors(run([chunk(mono, RATE), chunk(stereo, RATE, "pcm"), chunk(mono, RATE), END]))
    plain = vectors(run([chunk(mono, RATE), chunk(mono, RATE), chunk(mono, RATE), END]))
    assert changed == plain


def test_a_chunk_longer_than_the_limit() -> None:
    recipe = replace(RECIPE, max_chunk_seconds=1.0)
    (step,) = advance(None, record(0, audio(1.5)), recipe)
    assert letters([step]) == [(0, "audio-too-long")]


def test_a_recipe_has_one_window_length() -> None:
    with pytest.raises(ValueError, match="one window length in common, got"):
        Recipe((CHEAP, replace(CHEAP, window_seconds=3.0)))
    with pytest.raises(ValueError, match="one window length in common, got -"):
        Recipe(())


def test_vectors_carry_the_place_of_their_stream() -> None:
    event = vectors(run([audio(1.5)]))[0]
    assert (event.stream_id, event.origin) == ("radio-1", Place("audio.chunks", 0, 0))
    assert (event.start_seconds, event.end_seconds) == (0.0, 1.5)
    assert event.level_dbfs == pytest.approx(20 * np.log10(1 / np.sqrt(3)), abs=0.1)
    samples = integers(noise(1.5, RATE)) / 32768
    assert event.values == pytest.approx((samples.mean(), samples[0], samples[-1]), abs=1e-6)
