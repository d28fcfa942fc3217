"""Cut a stream's audio into windows, and say when each was heard.

A window's time is that of its own first sample: of the chunk that holds it, and of its place there.
So a gap before a chunk, or a producer's clock that jumps, moves the windows that begin in that
chunk and no others; and a replay that begins with that chunk finds the same time, bit for bit.
"""

from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from features import MIN_WINDOW_SECONDS, Audio, Window, window_length
from features import cut as cut_pieces
from schemas import AudioChunk
from services.extractor.chain import Chain
from services.extractor.pending import Pending
from services.extractor.span import Span
from services.extractor.state import StreamState
from services.processing.records import Record


class TimedWindow(NamedTuple):
    """A window, and when its first sample was heard, in ms since 1970."""

    window: Window
    at_ms: float


def begin_ms(chunk: AudioChunk, audio: Audio, record: Record) -> float:
    """Return when the first sample of a chunk was heard, in ms since 1970.

    Without the producer's word it is the time of the message less the length of the chunk: a
    producer sends a chunk when it is full.
    """
    if chunk.captured_at is not None:
        return chunk.captured_at
    return record.timestamp_ms - 1000.0 * audio.seconds


def cut(
    state: StreamState, audio: Audio, begun_ms: float, record: Record, span: Span
) -> tuple[StreamState, list[TimedWindow]]:
    """Cut the windows that are complete now, and move the cursor past them.

    Parameters
    ----------
    state
        The stream, its pending audio that of earlier chunks.
    audio
        Of the chunk at hand.
    begun_ms
        When its first sample was heard.
    record
        The chunk's message.
    span
        Where windows lie.
    """
    if span.hop_seconds > span.window_seconds:
        return _cut_apart(state, audio, begun_ms, record, span)
    cursor, offset, rate = state.cursor, record.place.offset, audio.sample_rate
    taken = cursor.skip if offset == cursor.offset else 0
    fresh = audio.samples[taken:]
    earlier, length = state.pending.samples, window_length(span.window_seconds, rate)
    if not earlier:
        state = replace(state, pending_at=_at(begun_ms, taken, rate))
    if earlier + len(fresh) < length:
        state = replace(state, pending=state.pending.append(fresh))
        return _keep_opening(state, record), []
    complete, rest = cut_pieces((*state.pending.unpacked(), fresh), length)
    places = [taken + number * length - earlier for number in range(len(complete) + 1)]
    times = [_at(begun_ms, place, rate) for place in places]
    windows = [
        TimedWindow(Window(index, index * length / rate, Audio(samples, rate)), at_ms)
        for index, (samples, at_ms) in enumerate(
            zip(complete, [state.pending_at, *times[1:]], strict=False), start=cursor.window_index
        )
    ]
    pending = Pending()
    for piece in rest:
        pending = pending.append(piece)
    cursor = msgspec.structs.replace(
        cursor,
        window_index=cursor.window_index + len(windows),
        offset=offset if rest else offset + 1,
        heard=state.heard,
        skip=places[-1] if rest else 0,
        next_at=times[-1],
    )
    state = replace(state, cursor=cursor, pending=pending, pending_at=times[-1])
    return replace(state, opening=Chain(), opening_bytes=0), windows


def _cut_apart(
    state: StreamState, audio: Audio, begun_ms: float, record: Record, span: Span
) -> tuple[StreamState, list[TimedWindow]]:
    """Cut likewise where something lies between windows, and pass over that.

    The cursor stands at the end of a window, so that a replay passes over the same samples.
    """
    offset, rate = record.place.offset, audio.sample_rate
    place = state.cursor.skip if offset == state.cursor.offset else 0
    length, windows = window_length(span.window_seconds, rate), []
    while True:
        index = state.cursor.window_index
        passed = min(span.gap(index, rate) - state.passed, len(audio.samples) - place)
        place += passed
        piece = audio.samples[place : place + length - state.pending.samples]
        if len(piece) and not state.pending.samples:
            state = replace(state, pending_at=_at(begun_ms, place, rate))
        pending = state.pending.append(piece) if len(piece) else state.pending
        state = replace(state, pending=pending, passed=state.passed + passed)
        place += len(piece)
        if pending.samples < length:
            break
        samples = np.concatenate(pending.unpacked())
        window = Window(index, span.start_seconds(index, rate), Audio(samples, rate))
        windows.append(TimedWindow(window, state.pending_at))
        is_over = place == len(audio.samples)
        cursor = msgspec.structs.replace(
            state.cursor,
            window_index=index + 1,
            offset=offset + 1 if is_over else offset,
            heard=state.heard,
            skip=0 if is_over else place,
            next_at=_at(begun_ms, place, rate),
        )
        state = replace(state, cursor=cursor, pending=Pending(), passed=0)
    return _keep_opening(state, record), windows


def _at(begun_ms: float, place: int, rate: int) -> float:
    """Return when the sample at a place of a chunk was heard."""
    return begun_ms + 1000.0 * place / rate


def rest(state: StreamState, span: Span) -> list[TimedWindow]:
    """Return the last, shorter window of a stream that ends here; none if it is too short."""
    rate = state.heard.sample_rate
    if rate is None or pending_seconds(state) < MIN_WINDOW_SECONDS:
        return []
    index = state.cursor.window_index
    start = span.start_seconds(index, rate)
    audio = Audio(np.concatenate(state.pending.unpacked()), rate)
    return [TimedWindow(Window(index, start, audio), state.pending_at)]


def pending_seconds(state: StreamState) -> float:
    """Return how much audio waits for the rest of its window."""
    rate = state.heard.sample_rate
    return state.pending.samples / rate if rate else 0.0


def _keep_opening(state: StreamState, record: Record) -> StreamState:
    """Keep the messages of a stream that is too short for any window yet."""
    if state.cursor.window_index or pending_seconds(state) >= MIN_WINDOW_SECONDS:
        return replace(state, opening=Chain(), opening_bytes=0)
    return replace(
        state,
        opening=state.opening.append(record),
        opening_bytes=state.opening_bytes + record.size,
    )
