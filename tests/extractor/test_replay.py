"""I2: from any saved cursor, the rest of the log gives the same vectors again.

A dead letter without a place in a window may be sent twice: delivery is at least once.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import AudioChunk, FeatureVector
from services.extractor.extractor import Extractor
from services.extractor.state import Cursor, StreamState
from services.extractor.stream import ExtractorStep
from services.processing.records import Record
from tests.audio import Integers, integers, noise
from tests.extractor.streams import CODECS, END, RECIPE, RECIPES, chunk, record

EXTRACTOR = Extractor(RECIPE)
every_recipe = pytest.mark.parametrize(
    "extractor", [*map(Extractor, RECIPES)], ids=["behind", "apart"]
)
CORRUPT = AudioChunk(b"fLaC, but no more")
AUDIO = integers(noise(5.0, 8_000))

FLOATS = "audio/pcm;rate=8000;channels=1;encoding=f32le"
STEREO = "audio/pcm;rate=8000;channels=2;encoding=s16le"

Letter = tuple[int, str]


@dataclass(frozen=True)
class Silence:
    """The stream of this key was idle for so long that it is closed."""

    stream_id: str


Log = list[Record | Silence]


def ragged(
    frames: Integers, content_type: str, left_out: int = 1, *, final: bool = False
) -> AudioChunk:
    """Make raw PCM that ends within a frame; as floats, some of it is refused."""
    return AudioChunk(frames.tobytes()[:-left_out], content_type=content_type, final=final)


@st.composite
def messages(draw: st.DrawFn) -> AudioChunk:
    kind = draw(st.sampled_from([*["audio"] * 10, "ragged", "ragged", "broken", "end", "corrupt"]))
    if kind == "end":
        return END
    final = draw(st.integers(0, 9)) == 9
    if kind == "corrupt":
        return AudioChunk(CORRUPT.data, final=final)
    if kind == "broken":
        return ragged(np.full(draw(st.integers(1, 9)), 0x7FFF, np.int16), FLOATS)
    start, length = draw(st.integers(0, 8_000)), draw(st.sampled_from([100, 5_000, 9_000, 32_000]))
    if kind == "ragged":
        pcm = draw(st.sampled_from([FLOATS, STEREO, STEREO, STEREO]))
        return ragged(AUDIO[start : start + length], pcm, draw(st.integers(1, 3)), final=final)
    rate = draw(st.sampled_from([*[8_000] * 9, 16_000]))
    frames = AUDIO[start : start + length]
    if draw(st.integers(0, 4)) == 4:
        frames = np.stack([frames, frames[::-1]], axis=1)
    return chunk(frames, rate, draw(st.sampled_from(CODECS)), final=final)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Messages of several keys, some numbered: repeated, left out, out of order, from 0 again."""
    log: Log = []
    now = number = 0
    counted = draw(st.booleans())
    for offset, message in enumerate(draw(st.lists(messages(), min_size=4, max_size=15))):
        now += draw(st.sampled_from([*[100] * 9, 0, 11_000, -100]))
        key = draw(st.sampled_from([*[b"a"] * 9, b"b", None, b"\xff"]))
        if counted and draw(st.integers(0, 9)) < 9:
            number += draw(st.sampled_from([*[1] * 6, 0, 2, 4, -1, -3, -number]))
            number = max(0, number)
            message = replace(message, sequence=number)
        log.append(record(offset, message, key=key, timestamp_ms=now))
        if draw(st.integers(0, 7)) == 7:
            log.append(Silence(draw(st.sampled_from("ab"))))
    return log


def steps_of(
    entry: Record | Silence,
    stream_id: str,
    state: StreamState | None,
    extractor: Extractor = EXTRACTOR,
) -> list[ExtractorStep]:
    """Process an entry of the log as a worker does; nothing if it is of another stream."""
    if isinstance(entry, Record):
        mine = extractor.stream_id(entry) == stream_id
        return extractor.advance(state, entry) if mine else []
    mine = entry.stream_id == stream_id and state is not None and not state.cursor.ended
    return extractor.close(state) if state and mine else []


def process(
    log: Log,
    stream_id: str,
    state: StreamState | None = None,
    extractor: Extractor = EXTRACTOR,
) -> list[ExtractorStep]:
    """Process the entries of one stream as a worker does, which looks up what it has saved."""
    steps: list[ExtractorStep] = []
    for entry in log:
        new = steps_of(entry, stream_id, state, extractor)
        for step in new:
            state = step.state
            if state is None and step.saved:
                state = extractor.resume(stream_id, step.saved)
        steps += new
    return steps


def events(steps: list[ExtractorStep]) -> list[FeatureVector]:
    return [event for step in steps for event in step.events]


def letters(steps: list[ExtractorStep]) -> set[Letter]:
    """Return offset and reason of the dead letters."""
    found = [letter for step in steps for letter in step.dead_letters]
    return {(letter.record.place.offset, letter.error.code) for letter in found}


def rest(log: Log, offset: int) -> Log:
    """Return the log from an offset."""
    numbers = [i for i, e in enumerate(log) if isinstance(e, Record) and e.place.offset >= offset]
    return log[numbers[0] :] if numbers else []


def saved_cursors(steps: list[ExtractorStep]) -> list[tuple[int, Cursor]]:
    return [(number, step.saved) for number, step in enumerate(steps) if step.saved]


@every_recipe
@settings(max_examples=120)
@given(log=logs())
def test_a_replay_from_any_saved_cursor_gives_the_same(extractor: Extractor, log: Log) -> None:
    streams = {EXTRACTOR.stream_id(entry) for entry in log if isinstance(entry, Record)}
    for stream_id in streams:
        steps = process(log, stream_id, None, extractor)
        for number, cursor in saved_cursors(steps):
            state = extractor.resume(stream_id, cursor)
            replayed = process(rest(log, cursor.offset), stream_id, state, extractor)
            assert events(replayed) == events(steps[number + 1 :])
            assert letters(steps[number + 1 :]) <= letters(replayed) <= letters(steps)


@every_recipe
@settings(max_examples=50)
@given(log=logs(), further=st.integers(0, 14))
def test_what_is_finished_is_skipped_when_the_log_is_replayed_from_further_back(
    extractor: Extractor, log: Log, further: int
) -> None:
    """Chunks of other streams hold the committed offset back."""
    records: Log = [entry for entry in log if isinstance(entry, Record)]
    steps = process(records, "a", None, extractor)
    for number, cursor in saved_cursors(steps):
        state = extractor.resume("a", cursor)
        replayed = process(rest(records, cursor.offset - further), "a", state, extractor)
        assert events(replayed) == events(steps[number + 1 :])
        assert letters(steps[number + 1 :]) <= letters(replayed) <= letters(steps)


@every_recipe
@settings(max_examples=50)
@given(log=logs())
def test_every_message_is_released_once_it_is_of_no_more_use(
    extractor: Extractor, log: Log
) -> None:
    for stream_id in {EXTRACTOR.stream_id(entry) for entry in log if isinstance(entry, Record)}:
        steps = process(log, stream_id, None, extractor)
        mine = [
            entry.place.offset
            for entry in log
            if isinstance(entry, Record) and EXTRACTOR.stream_id(entry) == stream_id
        ]
        released = [offset for step in steps for offset in step.released]
        state = steps[-1].state
        assert sorted(released + list(state.held if state else ())) == mine


@settings(max_examples=50)
@given(logs())
def test_ids_are_distinct_and_only_the_last_of_a_stream_is_final(log: Log) -> None:
    records = [entry for entry in log if isinstance(entry, Record)]
    found: list[FeatureVector] = []
    for stream_id in {EXTRACTOR.stream_id(entry) for entry in records}:
        found += events(process(log, stream_id))
    assert len({event.event_id for event in found}) == len(found)
    for origin in {event.origin for event in found}:
        finals = [event.final for event in found if event.origin == origin]
        assert not any(finals[:-1])
