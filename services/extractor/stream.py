"""The extractor's core: a stream's state and a chunk of it, to feature vectors and the new state.

Functions from values to values. The log is the buffer: an unfinished window lives in the state
alone, and the chunks that it needs are not released; a `Cursor` says where to go on after a
restart. All that decides where a stream begins and ends is in the log or in the cursor, so a replay
of any part of the log gives the same vectors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from features import MIN_WINDOW_SECONDS, Audio
from schemas import (
    AudioChunk,
    Content,
    FeatureVector,
    Place,
    decode_chunk,
    decode_final,
    decode_stream_id,
    keyless_stream_id,
    to_time,
)
from schemas.errors import (
    AudioError,
    AudioTooShort,
    InputError,
    LateChunk,
    MessageError,
    NumberTaken,
    WindowOverflow,
)
from services.extractor.chain import Chain
from services.extractor.cutting import TimedWindow, begin_ms, cut, pending_seconds, rest
from services.extractor.joining import Joined, Taken, decode_joined, half_before, join, note
from services.extractor.numbering import Arrival, count, judge, missing_before
from services.extractor.state import Cursor, Heard, Recipe, StreamState, begin, resume
from services.extractor.vectors import end_markers, feature_vectors, told
from services.processing.records import DeadLetter, Record, Step

ExtractorStep = Step[StreamState, Cursor, FeatureVector]

#: Chunks of an unfinished window at most: 3 s in chunks of 0.2 ms.
MAX_HELD: Final = 16_384
#: Bytes of the messages of a stream's first second at most; one message is taken at any size.
MAX_OPENING_BYTES: Final = 16 * 1024 * 1024


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
        The latest stream of this key, if there is one.
    record
        The message.
    recipe
        How to cut and what to extract.

    Returns
    -------
    One step, or more when the message begins a new stream and so ends the open one. A message that
    cannot be processed is a dead letter in its step; nothing is raised for bad input.
    """
    offset = record.place.offset
    if state and offset < state.cursor.offset:
        return [Step(state, released=(offset,))]
    if state and _is_past_its_end(state, offset):
        closed = close(state, recipe)
        ended = resume(state.stream_id, closed[-1].saved or state.cursor)
        return [*closed, *advance(ended, record, recipe)]
    joined = None
    try:
        if record.fault:
            raise record.fault
        chunk = decode_chunk(record.key, record.value, record.headers)
        arrival = _arrival(state, chunk, record, recipe)
        if arrival is Arrival.REPEATED:
            return [_pass_over(state, chunk, record)]
        joined = join(half_before(state, chunk, arrival), chunk)
        audio = None if _is_end_mark(chunk) else decode_joined(joined, chunk, recipe)
        return _take_in(state, chunk, Taken(audio, joined), arrival, record, recipe)
    except InputError as error:
        return [_reject(_after(state, record, joined), record, error, recipe)]


def close(state: StreamState, recipe: Recipe) -> list[ExtractorStep]:
    """End a stream: its rest becomes a last, shorter window, or a final message without values.

    Returns
    -------
    The decision where it ends, which must be saved before the second step is published: else a
    replay could know of more chunks and give the same window other values. Then the end.
    """
    if state.cursor.ended:
        return [Step(None)]
    if state.cursor.closes_at is not None:
        return [_end(state, [], recipe)]
    cursor = msgspec.structs.replace(state.cursor, closes_at=state.seen + 1)
    state = replace(state, cursor=cursor)
    decision: ExtractorStep = Step(state, saved=cursor, timestamp_ms=state.heard.timestamp_ms)
    return [decision, _end(state, [], recipe)]


def shed(state: StreamState, reason: InputError, recipe: Recipe) -> list[ExtractorStep]:
    """End a stream as `close` does; its latest message becomes a dead letter for a reason."""
    *before, last = close(state, recipe)
    letter = DeadLetter(_place_only(state), reason)
    return [*before, replace(last, dead_letters=(*last.dead_letters, letter))]


def _if_open(state: StreamState | None) -> StreamState | None:
    return None if state is None or state.cursor.ended else state


def _after(
    state: StreamState | None, record: Record, joined: Joined | None = None
) -> StreamState | None:
    """Note a message that does not become part of the stream.

    The frames of raw PCM go on behind it. Where they were cut in two, and nothing else is held, it
    is held, so that a restart finds the same frames.
    """
    if state is None or state.cursor.ended:
        return state
    state = replace(state, seen=record.place.offset)
    if joined is None or not joined.is_pcm:
        return state
    is_cut = bool(state.half.data or joined.half.data)
    held = state.held.append(record.place.offset) if is_cut and not state.held else state.held
    return replace(state, half=joined.half, held=held)


def _is_past_its_end(state: StreamState, offset: int) -> bool:
    closes_at = state.cursor.closes_at
    return not state.cursor.ended and closes_at is not None and offset >= closes_at


def _arrival(
    state: StreamState | None, chunk: AudioChunk, record: Record, recipe: Recipe
) -> Arrival:
    """Tell how a chunk comes.

    Raises
    ------
    LateChunk
        Its place in the stream is taken by what came after it.
    NumberTaken
        Other audio has its number.
    """
    if state is None:
        return Arrival.NEW_STREAM
    if state.cursor.ended:
        arrival = _arrival_after_end(state.heard, chunk, record)
    elif _is_end_mark(chunk) or _is_half_taken(state, record):
        arrival = Arrival.IN_ORDER
    elif record.timestamp_ms - state.heard.timestamp_ms > 1000 * recipe.idle_timeout_seconds:
        arrival = Arrival.NEW_STREAM
    else:
        arrival = judge(state.heard.numbering, chunk)
    if arrival is Arrival.LATE:
        last = state.heard.numbering.last if state.heard.numbering else None
        raise LateChunk(
            f"chunk {chunk.sequence} comes after chunk {last}, its window may be answered already: "
            "send the chunks of a stream in order, to one partition"
        )
    if arrival is Arrival.TAKEN:
        raise NumberTaken(
            f"chunk {chunk.sequence} of the stream was taken with other audio: number the chunks "
            "of a stream one after the other, and give each producer a key of its own"
        )
    return arrival


def _arrival_after_end(heard: Heard, chunk: AudioChunk, record: Record) -> Arrival:
    """Tell a producer's retry, which keeps number and time, from the next stream of the key."""
    is_retry = bool(chunk.sequence) and record.timestamp_ms <= heard.timestamp_ms
    arrival = judge(heard.numbering, chunk) if is_retry else Arrival.NEW_STREAM
    return Arrival.NEW_STREAM if arrival is Arrival.IN_ORDER else arrival


def _is_end_mark(chunk: AudioChunk) -> bool:
    return chunk.final and chunk.stream_id is not None and not chunk.data


def _is_half_taken(state: StreamState, record: Record) -> bool:
    return bool(state.cursor.skip) and record.place.offset == state.cursor.offset


def _is_heard_in_part(audio: Audio | None) -> bool:
    return audio is not None and audio.missing_seconds > 0


def _pass_over(state: StreamState | None, chunk: AudioChunk, record: Record) -> ExtractorStep:
    note = f"chunk {chunk.sequence} of stream {chunk.stream_id} was taken before: left out"
    return Step(_after(state, record), released=(record.place.offset,), note=note)


def _take_in(
    state: StreamState | None,
    chunk: AudioChunk,
    taken: Taken,
    arrival: Arrival,
    record: Record,
    recipe: Recipe,
) -> list[ExtractorStep]:
    """Add a chunk to the open stream, or end that and begin a new one.

    Raises
    ------
    MessageError
        An end mark, and no open stream.
    WindowOverflow
        The stream keeps as much in memory as it may.
    """
    state, audio = _if_open(state), taken.audio
    if state is None and audio is None:
        raise MessageError("an empty message ends no open stream: send audio first")
    rates = {None, audio.sample_rate} if audio else {None}
    other_rate = state and audio and state.heard.sample_rate not in rates
    closed: list[ExtractorStep] = []
    if state and (arrival is Arrival.NEW_STREAM or other_rate):
        closed.append(_end(state, [], recipe))
        state = None
    if state is None:
        state = begin(chunk.stream_id or keyless_stream_id(record.place), record)
    step = _append(state, chunk, taken, record, recipe)
    return [*closed, replace(step, note=note(taken, record) or step.note)]


def _reject(
    state: StreamState | None, record: Record, error: InputError, recipe: Recipe
) -> ExtractorStep:
    """Make a message a dead letter; its stream goes on without it, or ends if it says so."""
    ends = state and not state.cursor.ended and _marked_final(record)
    step = _end(state, [], recipe) if state and ends else Step(state)
    offset = record.place.offset
    is_held = state is not None and len(state.held) == 1 and offset in state.held
    return replace(
        step,
        dead_letters=(*step.dead_letters, DeadLetter(record, error)),
        released=step.released if is_held else (*step.released, offset),
    )


def _marked_final(record: Record) -> bool:
    try:
        return decode_final(record.headers)
    except MessageError:
        return False


def _append(
    state: StreamState, chunk: AudioChunk, taken: Taken, record: Record, recipe: Recipe
) -> ExtractorStep:
    """Add a chunk to its stream and emit the windows that it completes."""
    earlier, numbering, audio = state.held, state.heard.numbering, taken.audio
    rate = audio.sample_rate if audio else state.heard.sample_rate
    state = replace(
        state,
        half=taken.joined.half,
        seen=record.place.offset,
        heard=Heard(record.timestamp_ms, rate, count(numbering, chunk)),
        missing=state.missing + missing_before(numbering, chunk) + _is_heard_in_part(audio),
        held=earlier.append(record.place.offset),
    )
    windows: list[TimedWindow] = []
    if audio:
        begun = begin_ms(chunk, audio, record)
        state, windows = cut(state, audio, begun, record, recipe.span)
    if chunk.final or chunk.stream_id is None:
        return _end(state, windows, recipe, record)
    if not windows:
        _check_room(state)
        return Step(state)
    vectors, letters, content = _extract(state, windows, recipe, record)
    held: Chain[int] = Chain()
    if state.cursor.offset == record.place.offset:
        held = held.append(record.place.offset)
    released = tuple(earlier) if held else tuple(state.held)
    half = taken.joined.before if held else state.half
    cursor = msgspec.structs.replace(state.cursor, half=half, content=content)
    state = replace(state, held=held, missing=0, cursor=cursor)
    return Step(state, vectors, letters, released, state.cursor, state.heard.timestamp_ms)


def _check_room(state: StreamState) -> None:
    """Bound what a stream keeps in memory.

    Raises
    ------
    WindowOverflow
        More chunks, or bytes before the first second of audio.
    """
    if len(state.held) > MAX_HELD:
        raise WindowOverflow(
            f"the window under way has {MAX_HELD} chunks, the limit, and is not complete: "
            "send longer chunks"
        )
    if len(state.opening) > 1 and state.opening_bytes > MAX_OPENING_BYTES:
        raise WindowOverflow(
            f"the stream has {state.opening_bytes} bytes for its first "
            f"{pending_seconds(state):.3g} s, at most {MAX_OPENING_BYTES} bytes are kept for the "
            f"first {MIN_WINDOW_SECONDS:g} s: send fewer channels, a lower rate, or fewer bytes "
            "around the audio"
        )


def _end(
    state: StreamState, windows: list[TimedWindow], recipe: Recipe, record: Record | None = None
) -> ExtractorStep:
    """Emit the last windows of a stream, the very last marked final, and forget the stream."""
    windows = windows + rest(state, recipe.span)
    vectors, letters, _ = _extract(state, windows, recipe, record)
    if vectors:
        last = vectors[-1].window_index
        vectors = tuple(
            msgspec.structs.replace(vector, final=True) if vector.window_index == last else vector
            for vector in vectors
        )
    elif state.cursor.window_index:
        vectors = tuple(end_markers(state, recipe))
    cursor = msgspec.structs.replace(
        state.cursor,
        offset=state.seen + 1,
        heard=state.heard,
        skip=0,
        closes_at=None,
        ended=True,
        content=None,
    )
    return Step(
        state=None,
        events=vectors,
        dead_letters=letters + tuple(_too_short(state)),
        released=tuple(state.held),
        saved=cursor,
        timestamp_ms=state.heard.timestamp_ms,
    )


def _too_short(state: StreamState) -> Iterator[DeadLetter]:
    seconds, messages = pending_seconds(state), len(state.opening)
    error = AudioTooShort(
        f"the stream ended after {seconds:.3g} s in {messages} message(s), the "
        f"shortest window is {MIN_WINDOW_SECONDS:g} s: send more audio before final: true"
    )
    for record in state.opening:
        yield DeadLetter(record, error)


def _extract(
    state: StreamState, windows: Sequence[TimedWindow], recipe: Recipe, record: Record | None = None
) -> tuple[tuple[FeatureVector, ...], tuple[DeadLetter, ...], Content | None]:
    """Compute the vectors of windows; one that has none makes the message at hand a dead letter.

    The third is what the cursor keeps of what the last one holds: nothing if every one is heard.
    """
    vectors: list[FeatureVector] = []
    letters: list[DeadLetter] = []
    content = state.cursor.content
    for number, (window, at_ms) in enumerate(windows):
        missing = 0 if number else state.missing
        try:
            found = feature_vectors(
                state.stream_id,
                state.cursor.origin,
                window,
                recipe.feature_sets,
                recipe.content,
                told(window.index, content, recipe.content_every),
            )
        except AudioError as error:
            letters.append(DeadLetter(record or _place_only(state), error))
            continue
        content = found[0].content
        vectors += [
            msgspec.structs.replace(vector, missing_chunks=missing, heard_at=to_time(at_ms))
            for vector in found
        ]
    return tuple(vectors), tuple(letters), content if recipe.content_every > 1 else None


def _place_only(state: StreamState) -> Record:
    """Stand for the latest chunk of a stream, whose bytes are in the log alone."""
    origin = state.cursor.origin
    place = Place(origin.topic, origin.partition, max(state.held, default=state.seen))
    return Record(place, state.heard.timestamp_ms, state.stream_id.encode(), b"")
