"""The segment: a stretch of a stream for which `now` had one label."""

from msgspec import Struct

from schemas.messages import (
    SCHEMA_VERSION,
    Count,
    ModelReference,
    Place,
    Probability,
    SchemaVersion,
    Seconds,
    Shares,
    Time,
)


class GenreSegment(Struct, frozen=True, kw_only=True):
    """One message of ``genre.segments``: published when `now` changes, or the stream ends.

    The segments of a stream abut: no hole, no overlap.

    Attributes
    ----------
    event_id
        The same for the same segment, however often the log is processed.
    stream_id, origin, feature_set
        As in the predictions.
    model
        What made the predictions.
    label
        A genre, ``speech``, ``silence`` or ``unknown``.
    began_at, ended_at
        When its first sample was heard, and when its last one was; null where the vectors have no
        time.
    start_seconds, end_seconds
        Its span, from the start of the stream.
    seconds
        Length of the span by the clock: gaps count. Never less than what was heard, though the
        producer's clock may jump back.
    heard_seconds
        Audio in it: gaps and dead letters do not count.
    confidence
        Mean confidence in the label over its windows.
    probabilities
        Mean probability of every genre over its windows; empty where no window counts.
    windows
        Number of its windows.
    missing_chunks
        Number of chunks that are missing in it by the producer's own count.
    shares
        How much of it is music, speech, other sound and silence; null where the vectors do not
        say.
    continues
        Whether the label goes on from the last segment of the stream before: that had the same key,
        ended at most a minute earlier by `heard_at`, and this is the first segment of its stream.
    final
        Whether it is the last segment of its stream.
    schema_version
        Version of this schema; another major version is refused.
    """

    event_id: str
    stream_id: str
    origin: Place
    feature_set: str
    model: ModelReference
    label: str
    began_at: Time | None
    ended_at: Time | None
    start_seconds: Seconds
    end_seconds: Seconds
    seconds: Seconds
    heard_seconds: Seconds
    confidence: Probability
    probabilities: dict[str, Probability]
    windows: Count
    missing_chunks: Count = 0
    shares: Shares | None = None
    continues: bool = False
    final: bool = False
    schema_version: SchemaVersion = SCHEMA_VERSION


def segment_event_id(origin: Place, feature_set: str, first_window: int, model: str) -> str:
    """Identify a segment by its first window, which no other segment of the stream has.

    >>> segment_event_id(Place("audio.chunks", 3, 1042), "musicnn-200", 7, "a-model")
    'audio.chunks/3/1042/musicnn-200/7/a-model/segment'
    """
    place = f"{origin.topic}/{origin.partition}/{origin.offset}"
    return f"{place}/{feature_set}/{first_window}/{model}/segment"
