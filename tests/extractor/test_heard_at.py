"""When a window was heard: from the chunk that holds its first sample, and from the log alone."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import msgspec
import numpy as np
import pytest

from features import Audio
from schemas import AudioChunk, FeatureVector, to_milliseconds
from services.extractor.cutting import begin_ms
from services.extractor.extractor import Extractor
from services.extractor.state import Cursor, StreamState
from services.processing.records import Record
from tests.extractor.streams import END, RECIPE, record

RATE = 8_000
WINDOW = 1.5
START = 1_767_225_600_000
PATIENT = replace(RECIPE, idle_timeout_seconds=3600.0)
TYPE = f"audio/pcm;rate={RATE};channels=1;encoding=s16le"


def silent(samples: int, captured_at: int | None = None) -> AudioChunk:
    return AudioChunk(bytes(2 * samples), content_type=TYPE, captured_at=captured_at)


def heard(log: list[Record], state: StreamState | None = None) -> list[FeatureVector]:
    """Return the vectors of one stream."""
    found: list[FeatureVector] = []
    for entry in log:
        for step in Extractor(PATIENT).advance(state, entry):
            state = step.state
            found += step.events
    return found


def times(vectors: list[FeatureVector]) -> list[int]:
    assert vectors
    return [to_milliseconds(vector.heard_at or "") for vector in vectors]


def an_hour(seed: int, seconds: float = 3600.0) -> list[tuple[int, int]]:
    """Cut an hour into chunks of 0.1 to 10 s: first sample and length of each."""
    random, chunks, first = Random(seed), [], 0
    while first < seconds * RATE:
        length = random.randint(RATE // 10, 10 * RATE)
        chunks.append((first, length))
        first += length
    return chunks


@pytest.mark.parametrize("seed", range(3))
def test_with_captured_at_every_window_of_an_hour_is_right_to_a_millisecond(seed: int) -> None:
    log = [
        record(i, silent(length, round(START + 1000 * first / RATE)), timestamp_ms=7)
        for i, (first, length) in enumerate(an_hour(seed))
    ]
    found = times(heard(log))
    assert len(found) >= 3600 / WINDOW
    errors = [abs(at - START - 1000 * WINDOW * index) for index, at in enumerate(found)]
    assert max(errors) <= 1.0


def test_without_it_the_time_of_the_message_tells_to_the_length_of_the_chunk() -> None:
    """A message comes up to a second after its last sample, never before."""
    random, chunks = Random(5), an_hour(4)
    log = [
        record(i, silent(length), timestamp_ms=round(START + 1000 * (first + length) / RATE) + late)
        for i, (first, length) in enumerate(chunks)
        if (late := random.randint(0, 1000)) >= 0
    ]
    found = times(heard(log))
    for index, at in enumerate(found):
        assert 0 <= at - START - 1000 * WINDOW * index <= 1001


@pytest.mark.parametrize("captured", [True, False])
def test_a_gap_of_15_minutes_moves_the_windows_that_begin_after_it(captured: bool) -> None:
    gap, length = 15 * 60 * 1000, 2 * RATE
    log = []
    for i in range(6):
        begun = START + 2000 * i + (gap if i >= 3 else 0)
        chunk = silent(length, begun if captured else None)
        log.append(record(i, chunk, timestamp_ms=begun + 2000))
    found = times(heard(log))
    clock = [START + 1500 * index + (gap if index >= 4 else 0) for index in range(8)]
    assert found == clock
    assert np.diff(found).max() == gap + 1500


def test_windows_apart_are_heard_at_the_hop_and_the_end_at_that_of_the_last() -> None:
    core = Extractor(replace(PATIENT, hop_seconds=2.5))
    log = [record(i, silent(RATE * 11 // 10, START + 1100 * i)) for i in range(6)]
    state, found = None, list[FeatureVector]()
    for entry in [*log, record(6, END)]:
        for step in core.advance(state, entry):
            state = step.state
            found += step.events
    assert times(found) == [START, START + 2500, START + 5000, START + 6500]
    assert [vector.start_seconds for vector in found] == [0.0, 2.5, 5.0, 6.5]
    assert not found[-1].values


def test_a_clock_that_jumps_back_takes_the_windows_that_begin_in_its_chunks_along() -> None:
    jump = -3_600_000
    log = [
        record(i, silent(RATE, START + 1000 * i + (jump if i >= 5 else 0)), timestamp_ms=START)
        for i in range(9)
    ]
    assert times(heard(log)) == [
        START + 1500 * index + (jump if 1500 * index >= 5000 else 0) for index in range(6)
    ]


def test_the_end_of_a_stream_is_the_end_of_its_last_window() -> None:
    """Also when a rest too short for a window comes later, and after a restart."""
    log = [record(0, silent(3 * RATE, START)), record(1, silent(100, START + 3000)), record(2, END)]
    assert times(heard(log)) == [START, START + 1500, START + 3000]
    (step,) = Extractor(PATIENT).advance(None, log[0])
    cursor = msgspec.json.decode(msgspec.json.encode(step.saved), type=Cursor)
    assert times(heard(log[1:], Extractor(PATIENT).resume("radio-1", cursor))) == [START + 3000]


@pytest.mark.parametrize("captured", [True, False])
def test_a_replay_from_any_cursor_gives_the_same_times(captured: bool) -> None:
    log = [
        record(
            i,
            silent(length, round(START + 1000 * first / RATE) if captured else None),
            timestamp_ms=START + 999 * i,
        )
        for i, (first, length) in enumerate(an_hour(6, 120.0))
    ]
    whole = heard(log)
    core, state, seen, cursors = Extractor(PATIENT), None, 0, []
    for entry in log:
        for step in core.advance(state, entry):
            state, seen = step.state, seen + len(step.events)
            if step.saved:
                cursors.append((seen, step.saved))
    assert len(cursors) >= 20
    for done, cursor in cursors:
        saved = msgspec.json.decode(msgspec.json.encode(cursor), type=Cursor)
        assert heard(log[saved.offset :], core.resume("radio-1", saved)) == whole[done:]


def test_a_cursor_of_an_older_release_ends_its_stream_without_a_time() -> None:
    (step,) = Extractor(PATIENT).advance(None, record(0, silent(2 * RATE, START)))
    assert step.saved
    older = msgspec.structs.replace(step.saved, next_at=None, offset=1, skip=0)
    (end,) = heard([record(1, END)], Extractor(PATIENT).resume("radio-1", older))
    assert end.final
    assert end.heard_at is None


def test_times_that_no_clock_gives_are_cut_to_what_can_be_written() -> None:
    for captured_at in (-1, 2**62):
        log = [record(0, silent(2 * RATE, captured_at))]
        assert len(heard(log)) == 1
    chunk = silent(RATE)
    assert begin_ms(chunk, Audio(np.zeros(RATE, np.float32), RATE), record(0, chunk)) == -1000.0


def test_the_hours_have_chunks_of_all_lengths() -> None:
    lengths = [length / RATE for _, length in an_hour(0)]
    assert min(lengths) < 0.3
    assert max(lengths) > 9.7
    assert all(a[0] + a[1] == b[0] for a, b in pairwise(an_hour(0)))
