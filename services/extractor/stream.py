"""The extractor's core: a stream's state and a chunk of it, to feature vectors and the new state.

Functions from values to values. The log is the buffer: an unfinished window lives in the state
alone, and the chunks that it needs are not released; a `Cursor` says where to go on after a
restart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from features import MIN_WINDOW_SECONDS, Audio, Samples, Window, cut, decode, window_length
from schemas import (
    AudioChunk,
    FeatureVector,
    decode_chunk,
    decode_final,
    decode_stream_id,
    keyless_stream_id,
)
from schemas.errors import AudioError, AudioTooShort, InputError, MessageError
from services.extractor.state import Cursor, Recipe, StreamState
from services.extractor.vectors import end_markers, vector
from services.runtime.records import DeadLetter, Record, Step

ExtractorStep = Step[StreamState, Cursor, FeatureVector]


def stream_id(record: Record) -> str:
    """Return the id of the stream that a message belongs to, readable even from a bad key."""
    try:
        return decode_stream_id(record.key) or keyless_stream_id(record.place)
    except MessageError:
        return keyless_stream_id(record.place)


def advance(state: StreamState | None, record: Record, recipe: Recipe) -> list[ExtractorStep]:
    """Take in a message.

    Parameters
    ----------
    state
        The open stream of this key, if there is one.
    record
        The message.
    recipe
        How to cut and what to extract.

    Returns
    -------
    One step, or two when the message begins a new stream and so ends the open one. A message that
    cannot be processed is a dead letter in its step; nothing is raised for bad input.
    """
    if state and record.place.offset < state.cursor.offset:
        return [Step(state, released=(record.place.offset,))]
    if state and state.cursor.ended:
        state = None
    try:
        chunk = decode_chunk(record.key, record.value, record.headers)
        audio = _decode(chunk, recipe)
        if state is None and audio is None:
            raise MessageError("an empty message ends no open stream: send audio first")
    except InputError as error:
        return [_reject(state, record, error, recipe)]
    closed: list[ExtractorStep] = []
    if state and _begins_anew(state, audio, record, recipe):
        closed.append(close(state, recipe))
        state = None
    if state is None:
        state = StreamState(
            stream_id=chunk.stream_id or keyless_stream_id(record.place),
            cursor=Cursor(record.place, 0, record.place.offset, record.timestamp_ms),
        )
    return [*closed, _append(state, chunk, audio, record, recipe)]


def close(state: StreamState, recipe: Recipe) -> ExtractorStep:
    """End a stream: its rest becomes a last, shorter window, or a final message without values."""
    return _end(state, [], recipe)


def _decode(chunk: AudioChunk, recipe: Recipe) -> Audio | None:
    if chunk.final and chunk.stream_id and not chunk.data:
        return None
    return decode(chunk.data, chunk.content_type, max_seconds=recipe.max_chunk_seconds)


def _begins_anew(state: StreamState, audio: Audio | None, record: Record, recipe: Recipe) -> bool:
    if audio is None:
        return False
    idle_ms = record.timestamp_ms - state.cursor.timestamp_ms
    other_rate = state.cursor.sample_rate not in (None, audio.sample_rate)
    return other_rate or idle_ms > 1000 * recipe.idle_timeout_seconds


def _reject(
    state: StreamState | None, record: Record, error: InputError, recipe: Recipe
) -> ExtractorStep:
    """Make a message a dead letter; its stream goes on without it, or ends if it says so."""
    step = close(state, recipe) if state and _marked_final(record) else Step(state)
    return replace(
        step,
        dead_letters=(*step.dead_letters, DeadLetter(record, error)),
        released=(*step.released, record.place.offset),
    )


def _marked_final(record: Record) -> bool:
    try:
        return decode_final(record.headers)
    except MessageError:
        return False


def _append(
    state: StreamState, chunk: AudioChunk, audio: Audio | None, record: Record, recipe: Recipe
) -> ExtractorStep:
    """Add a chunk to its stream and emit the windows that it completes."""
    earlier = state.held
    state = replace(state, held=(*earlier, record.place.offset))
    windows: list[Window] = []
    if audio:
        state, windows = _cut(state, audio, record, recipe)
    if chunk.final or chunk.stream_id is None:
        return _end(state, windows, recipe, record)
    if not windows:
        return Step(state)
    vectors, letters = _extract(state, windows, recipe, record)
    released = earlier if state.pending else state.held
    state = replace(state, held=state.held[len(released) :])
    return Step(state, vectors, letters, released, state.cursor, state.cursor.timestamp_ms)


def _cut(
    state: StreamState, audio: Audio, record: Record, recipe: Recipe
) -> tuple[StreamState, list[Window]]:
    """Cut the windows that are complete now, and move the cursor past them."""
    cursor, offset, rate = state.cursor, record.place.offset, audio.sample_rate
    fresh = audio.samples[cursor.skip :] if offset == cursor.offset else audio.samples
    length = window_length(recipe.window_seconds, rate)
    complete, pending = cut((*state.pending, fresh), length)
    windows = [
        Window(index, index * length / rate, Audio(samples, rate))
        for index, samples in enumerate(complete, start=cursor.window_index)
    ]
    cursor = msgspec.structs.replace(cursor, timestamp_ms=record.timestamp_ms, sample_rate=rate)
    if windows:
        rest = sum(map(len, pending))
        cursor = msgspec.structs.replace(
            cursor,
            window_index=cursor.window_index + len(windows),
            offset=offset if rest else offset + 1,
            skip=len(audio.samples) - rest if rest else 0,
        )
    too_short = not cursor.window_index and _seconds(pending, rate) < MIN_WINDOW_SECONDS
    opening = (*state.opening, record) if too_short else ()
    return replace(state, cursor=cursor, pending=pending, opening=opening), windows


def _seconds(pending: Sequence[Samples], sample_rate: int) -> float:
    return sum(map(len, pending)) / sample_rate


def _end(
    state: StreamState, windows: list[Window], recipe: Recipe, record: Record | None = None
) -> ExtractorStep:
    """Emit the last windows of a stream, the very last marked final, and forget the stream."""
    windows = windows + _rest(state, recipe)
    vectors, letters = _extract(state, windows, recipe, record)
    if vectors:
        last = vectors[-1].window_index
        vectors = tuple(
            msgspec.structs.replace(vector, final=True) if vector.window_index == last else vector
            for vector in vectors
        )
    elif state.cursor.window_index:
        vectors = tuple(end_markers(state, recipe))
    seen = max(state.held, default=state.cursor.offset - 1)
    cursor = msgspec.structs.replace(state.cursor, offset=seen + 1, skip=0, ended=True)
    return Step(
        state=None,
        events=vectors,
        dead_letters=letters + tuple(_too_short(state)),
        released=state.held,
        saved=cursor,
        timestamp_ms=cursor.timestamp_ms,
    )


def _rest(state: StreamState, recipe: Recipe) -> list[Window]:
    rate = state.cursor.sample_rate
    if rate is None or _seconds(state.pending, rate) < MIN_WINDOW_SECONDS:
        return []
    index = state.cursor.window_index
    start = index * window_length(recipe.window_seconds, rate) / rate
    return [Window(index, start, Audio(np.concatenate(state.pending), rate))]


def _too_short(state: StreamState) -> Iterator[DeadLetter]:
    rate = state.cursor.sample_rate
    if not state.opening or rate is None:
        return
    seconds = _seconds(state.pending, rate)
    error = AudioTooShort(
        f"the stream ended after {seconds:.3g} s in {len(state.opening)} message(s), the shortest "
        f"window is {MIN_WINDOW_SECONDS:g} s: send more audio before final: true"
    )
    for record in state.opening:
        yield DeadLetter(record, error)


def _extract(
    state: StreamState, windows: Sequence[Window], recipe: Recipe, record: Record | None
) -> tuple[tuple[FeatureVector, ...], tuple[DeadLetter, ...]]:
    """Compute the vectors of windows; one that has none makes the message at hand a dead letter."""
    vectors: list[FeatureVector] = []
    letters: list[DeadLetter] = []
    for window in windows:
        try:
            vectors += [
                vector(state.stream_id, state.cursor.origin, window, feature_set)
                for feature_set in recipe.feature_sets
            ]
        except AudioError as error:
            if record is None:
                raise
            letters.append(DeadLetter(record, error))
    return tuple(vectors), tuple(letters)
