"""What the extractor knows of a stream, in memory and in its table."""

from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Final

import msgspec

from features import FeatureSet
from schemas import Content, Place
from services.extractor.chain import Chain
from services.extractor.numbering import Numbering
from services.extractor.pending import Pending
from services.extractor.span import Span
from services.processing.records import Record

#: Of a stream beside its audio, and of a message that it holds.
_STATE_BYTES: Final = 2048
_HELD_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Recipe:
    """How streams are cut and what is extracted.

    Attributes
    ----------
    feature_sets
        One vector a window is emitted for each; all have one window length.
    idle_timeout_seconds
        A chunk that comes later than this after the one before begins a new stream.
    max_chunk_seconds
        Longest audio that one message may decode to.
    side_by_side_seconds
        Longest audio of a message that is decoded while others are.
    allow_ffmpeg
        Whether what is not decoded here is given to ffmpeg.
    content
        Whether each window is told to be music, speech or other sound, by a network.
    content_every
        One window in so many is heard for that; those between are said to hold what it held.
    hop_seconds
        From the beginning of a window to that of the next; what lies between is not heard. By
        default, and at least, the length of a window.
    """

    feature_sets: tuple[FeatureSet, ...]
    idle_timeout_seconds: float = 30.0
    max_chunk_seconds: float = 900.0
    side_by_side_seconds: float = inf
    allow_ffmpeg: bool = False
    content: bool = False
    content_every: int = 1
    hop_seconds: float | None = None

    def __post_init__(self) -> None:
        lengths = {recipe.window_seconds for recipe in self.feature_sets}
        if len(lengths) != 1:
            raise ValueError(f"feature sets need one window length in common, got {lengths or '-'}")

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        return self.feature_sets[0].window_seconds

    @property
    def span(self) -> Span:
        """Where windows lie."""
        return Span(self.window_seconds, max(self.hop_seconds or 0.0, self.window_seconds))


#: What is counted never reaches more; what says so was forged.
Counted = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
#: The end of the year 9999, in ms since 1970.
LATEST_MS: Final = 253_402_300_799_000


class Heard(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the latest chunk of a stream leaves behind for the next.

    Attributes
    ----------
    timestamp_ms
        Time of the chunk.
    sample_rate
        Of the audio so far, in Hz; ``None`` before any is decoded.
    numbering
        The numbers of the chunks so far, if the producer counts.
    """

    timestamp_ms: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
    sample_rate: int | None = None
    numbering: Numbering | None = None


class HalfFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """The beginning of a frame of raw PCM, which the next chunk completes.

    Attributes
    ----------
    data
        Its bytes, fewer than a frame has.
    content_type
        Of the chunk that ended with it.
    """

    data: bytes = b""
    content_type: str = ""


NO_HALF: Final = HalfFrame()


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a stream goes on: what survives a restart.

    Attributes
    ----------
    origin
        Place of the stream's first chunk.
    window_index
        Number of the next window.
    offset
        Of the first chunk that is still needed; earlier ones are done with.
    heard
        As of the end of the latest window, or of the stream.
    skip
        Samples of the chunk at `offset` that belong to finished windows.
    closes_at
        The stream is to end before the message at this offset, whatever comes: decided once, so
        that a replay that knows of later chunks ends it in the same place.
    ended
        The stream is over; a chunk at `offset` or later begins a new one.
    next_at
        When the sample after the latest window was heard, in ms since 1970; ``None`` before the
        first window, and from releases before 0.2.
    half
        What the chunk at `offset` completes.
    content
        What the latest window holds, where not every one is heard for that.
    """

    origin: Place
    window_index: Counted
    offset: Counted
    heard: Heard
    skip: int = 0
    closes_at: Counted | None = None
    ended: bool = False
    next_at: Annotated[float, msgspec.Meta(ge=-LATEST_MS, le=LATEST_MS)] | None = None
    half: HalfFrame = NO_HALF
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream.

    Attributes
    ----------
    stream_id
        Its id.
    cursor
        What is finished.
    heard
        As of the latest chunk.
    seen
        Offset of the latest message of this key, be it part of the stream or not.
    pending
        Audio of the window that is not complete yet.
    pending_at
        When its first sample was heard, in ms since 1970, where there is some.
    passed
        Samples that were passed over since the latest window.
    missing
        Number of chunks that are missing in that window, or before it.
    held
        Offsets of the chunks that it needs.
    opening
        Messages of a stream too short for any window yet, to be dead letters if it stays so.
    opening_bytes
        How large their values are.
    half
        What the next chunk completes.
    """

    stream_id: str
    cursor: Cursor
    heard: Heard
    seen: int
    pending: Pending = field(default_factory=Pending)
    pending_at: float = 0.0
    passed: int = 0
    missing: int = 0
    held: Chain[int] = field(default_factory=Chain)
    opening: Chain[Record] = field(default_factory=Chain)
    opening_bytes: int = 0
    half: HalfFrame = NO_HALF

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        held = _HELD_BYTES * (len(self.held) + len(self.opening))
        return _STATE_BYTES + self.pending.nbytes + self.opening_bytes + held


def resume(stream_id: str, cursor: Cursor) -> StreamState:
    """Return the state of a stream at a cursor, with no audio at hand."""
    return StreamState(stream_id, cursor, cursor.heard, cursor.offset - 1, half=cursor.half)


def begin(stream_id: str, record: Record) -> StreamState:
    """Return the state of a stream that begins with a message."""
    heard = Heard(record.timestamp_ms)
    return resume(stream_id, Cursor(record.place, 0, record.place.offset, heard))
