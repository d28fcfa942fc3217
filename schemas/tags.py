"""The tag prediction: what a head of kind ``multi`` says, beside the genre."""

from msgspec import Struct

from schemas.messages import (
    SCHEMA_VERSION,
    Count,
    ModelReference,
    Place,
    Probability,
    SchemaVersion,
    Seconds,
    Time,
)


class TagPrediction(Struct, frozen=True, kw_only=True):
    """One message of ``genre.tags``: the tags of a stream so far, and of its window.

    Published where a classifier serves heads (``GENRESTREAM_HEADS``), one a feature vector and
    head. Each tag is probable by itself, so they do not sum to 1. Of all tags that the head knows
    a message has the most probable ones: at most ``GENRESTREAM_TAGS_TOP``, and none that is less
    probable than ``GENRESTREAM_TAGS_FROM``.

    Attributes
    ----------
    event_id
        The feature vector's, and the name of the head.
    stream_id, origin, feature_set, window_index, start_seconds, end_seconds, missing_chunks
        The feature vector's.
    model
        The head.
    tags
        Mean probability of each tag over the stream's windows of music so far, the most probable
        first; a window counts less the more speech covers its music. Empty without music.
    windows
        Number of windows in that mean.
    window
        The tags of this window alone, the most probable first; empty where it holds no music, null
        in the message that ends a stream of which no audio was left for another window.
    final
        Whether this is the last message of the stream.
    heard_at
        When the window's first sample was heard; null where the vector has no time.
    schema_version
        Version of this schema; another major version is refused.
    """

    event_id: str
    stream_id: str
    origin: Place
    feature_set: str
    model: ModelReference
    window_index: Count
    start_seconds: Seconds
    end_seconds: Seconds
    tags: dict[str, Probability]
    windows: Count
    window: dict[str, Probability] | None
    final: bool = False
    missing_chunks: Count = 0
    heard_at: Time | None = None
    schema_version: SchemaVersion = SCHEMA_VERSION
