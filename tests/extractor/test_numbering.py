"""Repeated, late and missing chunks, by the numbers that a producer gives them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from schemas import AudioChunk, FeatureVector
from services.extractor.extractor import Extractor
from services.extractor.state import StreamState
from services.extractor.stream import ExtractorStep, advance, close
from tests.audio import integers, noise
from tests.extractor.streams import END, RECIPE, chunk, record, vectors

RATE = 8_000
AUDIO = integers(noise(12.0, RATE))
#: Two chunks are a window.
CHUNK = 3 * RATE // 4


def a_chunk(place: int, number: int | None, *, final: bool = False) -> AudioChunk:
    """Return the audio of one place in a stream under a number."""
    piece = AUDIO[place * CHUNK : (place + 1) * CHUNK]
    return replace(chunk(piece, RATE, "pcm", final=final), sequence=number)


def numbered(
    numbers: Sequence[int | None], final: bool = True, step_ms: int = 0
) -> list[ExtractorStep]:
    """Process chunks of the audio that belongs to their numbers, as a worker does."""
    steps: list[ExtractorStep] = []
    state: StreamState | None = None
    last = len(numbers) - 1
    for offset, number in enumerate(numbers):
        message = a_chunk((number or 0) % 16, number, final=final and offset == last)
        new = advance(state, record(offset, message, timestamp_ms=offset * step_ms), RECIPE)
        state = after(new[-1])
        steps += new
    return steps


def after(step: ExtractorStep) -> StreamState | None:
    """Return what a worker knows of a stream after a step."""
    saved = step.saved
    return step.state or (Extractor(RECIPE).resume("radio-1", saved) if saved else None)


def values(events: Sequence[FeatureVector]) -> list[tuple[int, tuple[float, ...]]]:
    return [(event.window_index, event.values) for event in events]


def missing(steps: Sequence[ExtractorStep]) -> list[int]:
    return [event.missing_chunks for event in vectors(steps)]


def late(steps: Sequence[ExtractorStep]) -> list[int]:
    letters = [letter for step in steps for letter in step.dead_letters]
    assert {letter.error.code for letter in letters} <= {"late-chunk"}
    return [letter.record.place.offset for letter in letters]


@pytest.mark.parametrize("start", [0, 1, 57])
def test_chunks_in_order_are_as_without_numbers(start: int) -> None:
    steps = numbered(range(start, start + 6))
    assert missing(steps) == [0, 0, 0]
    assert not late(steps)


@pytest.mark.parametrize(
    "numbers",
    [
        [0, 0, 1, 2, 3, 4, 5],
        [0, 1, 1, 1, 2, 3, 4, 5],
        [0, 1, 2, 3, 1, 2, 3, 4, 5],
        [0, 1, 2, 0, 3, 4, 5],
        [0, 1, 2, 3, 4, 3, 4, 5],
    ],
)
def test_a_chunk_that_was_taken_is_dropped(numbers: list[int]) -> None:
    steps = numbered(numbers)
    once = numbered(range(6))
    assert values(vectors(steps)) == values(vectors(once))
    assert missing(steps) == [0, 0, 0]
    assert sum(bool(step.note) for step in steps) == len(numbers) - 6
    released = sorted(offset for step in steps for offset in step.released)
    assert released == list(range(len(numbers)))
    assert not late(steps)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 2, 3, 4, 5, 6], [1, 0, 0]),
        ([0, 1, 3, 4, 5, 6], [0, 1, 0]),
        ([0, 1, 2, 5, 9, 10], [0, 2, 3]),
        ([0, 5, 9, 10], [4, 3]),
        ([None, None, 7, 9], [0, 1]),
        ([7, None, 9, 10], [0, 1]),
    ],
)
def test_missing_chunks_are_counted_in_their_window(
    numbers: list[int | None], expected: list[int]
) -> None:
    assert missing(numbered(numbers)) == expected


def test_a_dead_letter_is_a_missing_chunk() -> None:
    state = after(numbered([0], final=False)[-1])
    broken = AudioChunk(b"fLaC", sequence=1)
    (step,) = advance(state, record(1, broken), RECIPE)
    assert [letter.error.code for letter in step.dead_letters] == ["corrupt-audio"]
    (end,) = advance(step.state, record(2, a_chunk(2, 2, final=True)), RECIPE)
    assert missing([end]) == [1]


def test_what_is_missing_before_the_end_is_counted_in_the_last_message() -> None:
    state = after(numbered([0, 1], final=False)[-1])
    (end,) = advance(state, record(2, replace(END, sequence=4)), RECIPE)
    assert [(event.values, event.final) for event in end.events] == [((), True)]
    assert missing([end]) == [2]


def test_a_late_chunk_is_a_dead_letter_and_changes_nothing() -> None:
    steps = numbered([0, 2, 1, 3, 4])
    assert late(steps) == [2]
    assert values(vectors(steps)) == values(vectors(numbered([0, 2, 3, 4])))
    error = steps[2].dead_letters[0].error
    assert "chunk 1 comes after chunk 2, its window may be answered already: send" in str(error)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_other_audio_under_a_number_that_is_taken_is_a_dead_letter(number: int) -> None:
    state = after(numbered([0, 1, 2, 3], final=False)[-1])
    (step,) = advance(state, record(4, a_chunk(7, number)), RECIPE)
    (letter,) = step.dead_letters
    assert letter.error.code == "number-taken"
    assert f"chunk {number} of the stream was taken with other audio" in str(letter.error)
    assert not step.events
    steps = advance(step.state, record(5, a_chunk(4, 4)), RECIPE)
    steps += advance(after(steps[-1]), record(6, a_chunk(5, 5, final=True)), RECIPE)
    assert values(vectors(steps)) == values(vectors(numbered(range(6))))[2:]


def test_a_number_is_still_taken_after_a_restart() -> None:
    (*_, step) = [step for step in numbered([0, 1, 2, 3], final=False) if step.saved]
    assert step.saved
    resumed = Extractor(RECIPE).resume("radio-1", step.saved)
    (again,) = advance(resumed, record(4, a_chunk(7, 1)), RECIPE)
    assert [letter.error.code for letter in again.dead_letters] == ["number-taken"]


def test_only_the_latest_gaps_are_remembered() -> None:
    steps = numbered([*range(0, 40, 2), 1, 37], final=False, step_ms=1)
    assert late(steps) == [21]
    assert sum(bool(step.note) for step in steps) == 1


def test_a_producer_that_counts_from_0_again_begins_a_new_stream() -> None:
    state = after(numbered([0, 1, 2], final=False)[-1])
    steps = advance(state, record(3, a_chunk(10, 0)), RECIPE)
    assert [event.final for event in steps[0].events] == [True]
    for offset, number in ((4, 1), (5, 2)):
        steps += advance(after(steps[-1]), record(offset, a_chunk(11, number)), RECIPE)
    assert [event.origin.offset for event in vectors(steps)] == [0, 3]


def test_lower_numbers_after_a_pause_begin_a_new_stream() -> None:
    """A producer that was started again, and whose chunk 0 was lost, is not ignored for long."""
    state = after(numbered([0, 1, 2], final=False)[-1])
    (dropped,) = advance(state, record(3, a_chunk(1, 1), timestamp_ms=10_000), RECIPE)
    assert dropped.note
    closed, begun = advance(dropped.state, record(4, a_chunk(0, 1), timestamp_ms=10_001), RECIPE)
    assert closed.events[-1].final
    assert begun.state
    assert begun.state.cursor.origin.offset == 4


def test_a_retry_after_the_end_begins_no_stream() -> None:
    ended = after(numbered([0, 1, 2, 3])[-1])
    (step,) = advance(ended, record(4, a_chunk(3, 3, final=True)), RECIPE)
    assert step.note
    assert (step.events, step.released) == ((), (4,))


def test_a_retry_of_the_end_mark_ends_nothing() -> None:
    mark = replace(END, sequence=2)
    steps = advance(after(numbered([0, 1], final=False)[-1]), record(2, mark), RECIPE)
    (step,) = advance(after(steps[-1]), record(3, mark), RECIPE)
    assert (step.dead_letters, step.events, step.released) == ((), (), (3,))


@pytest.mark.parametrize(("number", "later_ms"), [(0, 0), (3, 1), (4, 0), (None, 0)])
def test_a_key_used_again_is_a_new_stream_whatever_its_numbers(
    number: int | None, later_ms: int
) -> None:
    ended = after(numbered([0, 1, 2, 3])[-1])
    message = record(4, a_chunk(0, number), timestamp_ms=later_ms)
    (step,) = advance(ended, message, RECIPE)
    assert step.state
    assert step.state.cursor.origin.offset == 4
    assert missing([step]) == []


def test_a_repetition_before_the_clock_ends_a_stream_stays_one_in_a_replay() -> None:
    """The end is decided behind all that was read, not behind the last chunk that was taken."""
    steps = numbered([0, 1, 2], final=False)
    repeated = record(3, a_chunk(1, 1), timestamp_ms=5)
    (dropped,) = advance(after(steps[-1]), repeated, RECIPE)
    assert dropped.note
    assert dropped.state
    decision, end = close(dropped.state, RECIPE)
    assert decision.saved
    resumed = Extractor(RECIPE).resume("radio-1", decision.saved)
    (replayed,) = advance(resumed, record(2, a_chunk(2, 2)), RECIPE)
    (again,) = advance(replayed.state, repeated, RECIPE)
    assert again.note
    assert again.state
    assert close(again.state, RECIPE)[-1].events == end.events
