"""What sounds now: when a label changes, where its border lies, what a replay gives."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import GenreSegment, to_milliseconds, to_time
from services.classifier.now import NowState, Rule
from services.classifier.segments import take_in, to_now
from tests.classifier.windows import (
    LABELS,
    MODEL,
    RULE,
    START,
    Answer,
    heard,
    play,
    runs,
    spans,
    vector,
)

answers = st.lists(
    st.tuples(st.sampled_from([*LABELS, "speech", "silence", "unknown"]), st.floats(0.25, 1.0)),
    min_size=1,
    max_size=60,
)
#: Labels that stay for a while, as on the air.
programmes = st.lists(
    st.tuples(st.sampled_from([*LABELS, "speech", "silence"]), st.integers(1, 20)),
    min_size=1,
    max_size=8,
).map(lambda parts: runs(*parts))


def labels(states: list[NowState]) -> list[str]:
    return [state.label for state in states]


def test_a_label_changes_when_another_has_led_for_twelve_seconds_and_began_where_it_led() -> None:
    states, segments = play(runs(("jazz", 8), ("rock", 8)))
    assert labels(states) == ["jazz"] * 11 + ["rock"] * 5
    assert spans(segments) == [("jazz", 0, 24), ("rock", 24, 48)]
    now = to_now(states[11], RULE)
    assert now
    assert (now.label, now.since) == ("rock", to_time(START + 24_000))


@pytest.mark.parametrize("other", ["rock", "speech", "silence", "unknown"])
def test_less_than_that_changes_nothing(other: str) -> None:
    states, segments = play(runs(("jazz", 8), (other, 3), ("jazz", 8), (other, 3)))
    assert set(labels(states)) == {"jazz"}
    assert spans(segments) == [("jazz", 0, 66)]


@pytest.mark.parametrize("other", ["speech", "silence", "unknown"])
def test_what_is_no_genre_is_a_label_like_any_other(other: str) -> None:
    _, segments = play(runs(("jazz", 8), (other, 6), ("rock", 7)))
    assert spans(segments) == [("jazz", 0, 24), (other, 24, 42), ("rock", 42, 63)]
    assert [bool(segment.probabilities) for segment in segments] == [True, False, True]
    assert segments[1].confidence == 0.9


def test_music_that_is_unsure_is_unknown() -> None:
    states, _ = play([("jazz", 0.9)] * 8 + [("rock", 0.26)] * 12)
    assert (states[7].label, states[-1].label) == ("jazz", "unknown")
    now = to_now(states[-1], RULE)
    assert now
    assert now.confidence == pytest.approx(0.26)  # of the likeliest genre, as for a window
    assert now.probabilities["rock"] == pytest.approx(0.26)


def test_a_weak_lead_must_be_longer() -> None:
    weak = [("jazz", 0.9)] * 8 + [("rock", 0.4)] * 12
    changed = labels(play(weak)[0]).index("rock")
    assert 12 <= changed < 20
    assert labels(play(runs(("jazz", 8), ("rock", 12)))[0]).index("rock") == 11


def test_now_is_about_the_last_seconds_alone() -> None:
    states, _ = play(runs(("jazz", 1000), ("rock", 10)))
    now = to_now(states[-1], RULE)
    assert now
    assert now.probabilities["rock"] == pytest.approx(0.9)
    short = replace(RULE, now_seconds=12.0)
    assert len(play(runs(("jazz", 20)), rule=short)[0][-1].windows) == 4


def test_gaps_and_dead_letters_are_not_heard_but_count_by_the_clock() -> None:
    """Windows 3 to 5 became dead letters, and 60 s are missing before window 6."""
    state: NowState | None = None
    segments: list[GenreSegment] = []
    for index in (0, 1, 2, 6, 7):
        gap = 60_000 if index >= 6 else 0
        row = vector(index, at_ms=START + gap, final=index == 7, missing_chunks=20 * (index == 6))
        state, over = take_in(state, row, heard("jazz"), RULE, MODEL, is_new=index == 0)
        segments += over
    (segment,) = segments
    assert (segment.start_seconds, segment.end_seconds) == (0, 24)
    assert (segment.seconds, segment.heard_seconds, segment.windows) == (84, 15, 5)
    assert segment.missing_chunks == 20


def test_a_clock_that_jumps_back_makes_no_segment_shorter_than_what_was_heard() -> None:
    state: NowState | None = None
    segments: list[GenreSegment] = []
    for index in range(6):
        jump = -3_600_000 if index >= 3 else 0
        row = vector(index, at_ms=START + jump, final=index == 5)
        state, over = take_in(state, row, heard("jazz"), RULE, MODEL, is_new=index == 0)
        segments += over
    assert [(s.seconds, s.heard_seconds) for s in segments] == [(18, 18)]


def test_streams_without_times_have_segments_without_them() -> None:
    states, segments = play(runs(("jazz", 8), ("rock", 8)), at_ms=None)
    assert [(s.began_at, s.ended_at, s.seconds) for s in segments] == [(None, None, 24)] * 2
    now = to_now(states[-1], RULE)
    assert now
    assert now.since is None


def check_cover(segments: list[GenreSegment], count: int) -> None:
    """No hole, no overlap, every window in one segment, the last one final."""
    assert segments[0].start_seconds == 0
    assert segments[-1].end_seconds == 3 * count
    for before, after in pairwise(segments):
        assert before.end_seconds == after.start_seconds
        assert before.ended_at == after.began_at
        assert before.label != after.label
    assert sum(segment.windows for segment in segments) == count
    assert sum(segment.heard_seconds for segment in segments) == 3 * count
    assert [segment.final for segment in segments] == [False] * (len(segments) - 1) + [True]
    assert len({segment.event_id for segment in segments}) == len(segments)


@given(answers | programmes)
def test_segments_abut_and_cover_their_stream(windows: list[Answer]) -> None:
    states, segments = play(windows)
    check_cover(segments, len(windows))
    assert segments[-1].label == states[-1].label
    for segment in segments:
        assert 0 <= segment.confidence <= 1
        assert to_milliseconds(segment.began_at or "") == START + 1000 * segment.start_seconds


@given(answers | programmes)
def test_a_label_other_than_the_first_led_for_twelve_seconds(windows: list[Answer]) -> None:
    states, _ = play(windows)
    for number, (before, after) in enumerate(pairwise(states), start=1):
        if before.label != after.label:
            assert number + 1 - after.begun.index >= 4


def from_json(state: NowState) -> NowState:
    return msgspec.json.decode(msgspec.json.encode(state), type=NowState)


@given(answers | programmes, st.data())
def test_a_replay_from_any_window_gives_the_same(
    windows: list[Answer], data: st.DataObject
) -> None:
    states, segments = play(windows)
    cut = data.draw(st.integers(1, len(windows)))
    state = from_json(states[cut - 1])
    assert state == states[cut - 1]
    again: list[GenreSegment] = []
    for index in range(cut, len(windows)):
        row = vector(index, final=index == len(windows) - 1)
        after, over = take_in(state, row, heard(*windows[index]), RULE, MODEL, is_new=False)
        assert after == states[index]
        state, again = after, [*again, *over]
    assert again == segments[len(segments) - len(again) :]


@given(answers | programmes)
def test_a_stream_ends_alike_with_its_last_window_or_after_it(windows: list[Answer]) -> None:
    _, at_once = play(windows)
    states, later = play(windows, ends=False)
    end = vector(len(windows), final=True, values=(), end_seconds=3.0 * len(windows))
    _, over = take_in(states[-1], end, None, RULE, MODEL, is_new=False)
    assert [*later, *over] == at_once


# -- a stream that follows another of the same key -----------------------------------------------


def test_the_label_goes_on_in_a_stream_that_follows_within_a_minute() -> None:
    first, _ = play(runs(("jazz", 10)))
    states, segments = play(
        runs(("jazz", 5)), state=from_json(first[-1]), start=9, at_ms=START + 30_000 + 60_000
    )
    (segment,) = segments
    assert (segment.label, segment.continues, segment.windows) == ("jazz", True, 5)
    assert segment.began_at == to_time(START + 90_000)
    assert segment.event_id == "t/0/9/cheap/0/a-model/segment"
    now = to_now(states[-1], RULE)
    assert now
    assert now.since == to_time(START)
    assert len(states[0].windows) == 10


@pytest.mark.parametrize("at_ms", [START + 30_000 + 60_001, START - 30_001, None])
def test_it_begins_anew_later_or_where_no_time_is_known(at_ms: int | None) -> None:
    first, _ = play(runs(("jazz", 10)))
    states, segments = play(runs(("rock", 5)), state=first[-1], start=9, at_ms=at_ms)
    assert labels(states) == ["rock"] * 5
    assert [(s.label, s.continues) for s in segments] == [("rock", False)]


def test_a_label_without_a_window_in_the_next_stream_has_no_segment_there() -> None:
    first, _ = play(runs(("jazz", 10)))
    states, segments = play(runs(("rock", 6)), state=first[-1], start=9, at_ms=START + 31_000)
    assert labels(states) == ["jazz"] * 3 + ["rock"] * 3
    assert [(s.label, s.continues, *spans([s])[0][1:]) for s in segments] == [
        ("rock", False, 0, 18)
    ]


def test_a_lead_goes_on_over_the_end_of_a_stream_but_its_border_does_not_cross_it() -> None:
    first, ended = play(runs(("jazz", 10), ("rock", 2)))
    assert spans(ended) == [("jazz", 0, 36)]
    states, segments = play(runs(("rock", 6)), state=first[-1], start=9, at_ms=START + 36_000)
    assert labels(states) == ["jazz"] + ["rock"] * 5
    assert spans(segments) == [("rock", 0, 18)]


@given(st.lists(programmes, min_size=2, max_size=4), st.integers(0, 70_000))
def test_the_segments_of_every_stream_cover_it(streams: list[list[Answer]], gap: int) -> None:
    state: NowState | None = None
    at_ms = START
    for number, windows in enumerate(streams):
        states, segments = play(windows, state=state, start=number, at_ms=at_ms)
        check_cover(segments, len(windows))
        assert not any(segment.continues for segment in segments[1:])
        state, at_ms = states[-1], at_ms + 3000 * len(windows) + gap


# -- bounds --------------------------------------------------------------------------------------


def test_a_day_is_as_small_as_a_minute() -> None:
    genres = tuple(f"genre-{i}" for i in range(10))
    rule = Rule(genres)
    state: NowState | None = None
    sizes: list[int] = []
    segments: list[GenreSegment] = []
    for index in range(24 * 1200):
        label = genres[index // 100 % 10]
        answer = heard("jazz").answer
        spread = {x: 0.55 if x == label else 0.05 for x in genres}
        held = msgspec.structs.replace(answer, label=label, probabilities=spread, confidence=0.55)
        row = vector(index)
        state, over = take_in(
            state,
            row,
            msgspec.structs.replace(heard("jazz"), answer=held),
            rule,
            MODEL,
            is_new=index == 0,
        )
        segments += over
        sizes.append(len(msgspec.json.encode(state)))
    assert state
    assert state.label == genres[24 * 1200 // 100 % 10 - 1]
    assert len(segments) == 287
    assert {segment.seconds for segment in segments} == {300}
    assert max(sizes) < 2000


@settings(max_examples=20)
@given(answers)
def test_the_longest_now_fits_into_the_changelog(windows: list[Answer]) -> None:
    rule = replace(RULE, now_seconds=90.0)
    states, _ = play(windows * 3, rule=rule)
    assert max(len(msgspec.json.encode(state)) for state in states) < 4000


def test_windows_of_no_length_are_bounded_too() -> None:
    state: NowState | None = None
    for index in range(300):
        row = vector(index, end_seconds=3.0 * index)
        state, _ = take_in(state, row, heard("jazz"), RULE, MODEL, is_new=index == 0)
    assert state
    assert len(state.windows) == 100
