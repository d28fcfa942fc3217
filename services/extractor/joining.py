"""Join the frames of raw PCM that were cut in two: a stream of it may be cut anywhere.

The half of a frame at the end of a chunk is kept for the next one, in the cursor too. So a stream
that was cut within frames gives the samples of the same stream uncut, also across a restart.
"""

from typing import NamedTuple

from features import Audio, decode, decode_pcm, pcm_shape
from schemas import AudioChunk
from schemas.errors import AudioTooLong
from services.extractor.numbering import Arrival, missing_before
from services.extractor.state import NO_HALF, HalfFrame, Recipe, StreamState
from services.processing.records import Record


class LongAudio(Exception):
    """A message decodes to so much that no two such are decoded at a time."""


class Joined(NamedTuple):
    """A chunk with what was left over before it.

    Attributes
    ----------
    data
        Of whole frames, where it is raw PCM; else as it came.
    before
        The half frame that it begins with.
    half
        The one that is left over, for the next chunk.
    dropped
        Bytes of a half frame that this chunk does not go on with.
    is_pcm
        Whether it is raw PCM of a stream.
    """

    data: bytes
    before: HalfFrame = NO_HALF
    half: HalfFrame = NO_HALF
    dropped: int = 0
    is_pcm: bool = False


class Taken(NamedTuple):
    """What a chunk holds: its audio, none for an end mark, and how its frames were joined."""

    audio: Audio | None
    joined: Joined


def half_before(state: StreamState | None, chunk: AudioChunk, arrival: Arrival) -> HalfFrame:
    """Return the half frame that a chunk goes on with: none of another stream, none over a gap."""
    if state is None or state.cursor.ended or arrival is Arrival.NEW_STREAM:
        return NO_HALF
    return NO_HALF if missing_before(state.heard.numbering, chunk) else state.half


def join(half: HalfFrame, chunk: AudioChunk) -> Joined:
    """Put the half frame before a chunk in front of it, and take off the one at its end.

    Raises
    ------
    UnsupportedAudio
        The content type of raw PCM is wrong.
    """
    shape = pcm_shape(chunk.content_type)
    if shape is None or chunk.stream_id is None:
        return Joined(chunk.data, dropped=len(half.data))
    goes_on = bool(half.data) and pcm_shape(half.content_type) == shape
    before = half if goes_on else NO_HALF
    data = before.data + chunk.data
    whole = len(data) // shape.frame_bytes * shape.frame_bytes
    after = HalfFrame(data[whole:], chunk.content_type or "") if whole < len(data) else NO_HALF
    return Joined(data[:whole], before, after, len(half.data) - len(before.data), is_pcm=True)


def decode_joined(joined: Joined, chunk: AudioChunk, recipe: Recipe) -> Audio:
    """Decode a chunk with what was left over before it; the errors are those of `decode`.

    Of raw PCM that has no whole frame yet there are no samples.

    Raises
    ------
    LongAudio
        It is longer than `Recipe.side_by_side_seconds`, and may be so.
    """
    shape = pcm_shape(chunk.content_type)
    if shape and chunk.data and not joined.data:
        return decode_pcm(b"", shape, recipe.max_chunk_seconds)
    limit = min(recipe.max_chunk_seconds, recipe.side_by_side_seconds)
    try:
        return decode(
            joined.data, chunk.content_type, max_seconds=limit, allow_ffmpeg=recipe.allow_ffmpeg
        )
    except AudioTooLong as error:
        if limit < recipe.max_chunk_seconds:
            raise LongAudio from error
        raise


def note(taken: Taken, record: Record) -> str:
    """Say what of a message was left out; nothing where all was heard."""
    notes = list(taken.audio.notes) if taken.audio else []
    if taken.joined.dropped:
        notes.insert(
            0,
            f"the stream before it ends with {taken.joined.dropped} bytes of a frame of raw PCM "
            "that nothing completes: they are left out",
        )
    more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
    return f"message {record.place}: {notes[0]}{more}" if notes else ""
