"""What the extractor knows of a stream, in memory and in its table."""

from dataclasses import dataclass

import msgspec

from features import FeatureSet, Samples
from schemas import Origin
from services.runtime.records import Record


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
    """

    feature_sets: tuple[FeatureSet, ...]
    idle_timeout_seconds: float = 30.0
    max_chunk_seconds: float = 900.0

    def __post_init__(self) -> None:
        lengths = {recipe.window_seconds for recipe in self.feature_sets}
        if len(lengths) != 1:
            raise ValueError(f"feature sets need one window length in common, got {lengths or '-'}")

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        return self.feature_sets[0].window_seconds


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
    timestamp_ms
        Time of the latest chunk.
    sample_rate
        Of the audio so far, in Hz; ``None`` before any is decoded.
    skip
        Samples of the chunk at `offset` that belong to finished windows.
    ended
        The stream is over; a chunk at `offset` or later begins a new one.
    """

    origin: Origin
    window_index: int
    offset: int
    timestamp_ms: int
    sample_rate: int | None = None
    skip: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class StreamState:
    """An open stream.

    Attributes
    ----------
    stream_id
        Its id.
    cursor
        What is finished.
    pending
        Samples of the window that is not complete yet.
    held
        Offsets of the chunks that this window needs.
    opening
        Messages of a stream too short for any window yet, to be dead letters if it stays so.
    """

    stream_id: str
    cursor: Cursor
    pending: tuple[Samples, ...] = ()
    held: tuple[int, ...] = ()
    opening: tuple[Record, ...] = ()
