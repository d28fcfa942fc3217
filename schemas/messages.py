"""Message types of the four topics: what two services must agree on.

Messages only gain optional fields within a major version, and readers ignore fields that they do
not know, so services of neighbouring releases work side by side.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta, Struct

SCHEMA_VERSION: Final = "1.0"

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0.0)]
SchemaVersion = Annotated[str, Meta(pattern=r"^1(\.|$)")]
#: RFC 3339 in UTC with milliseconds: ``2026-11-25T10:00:00.000Z``.
Time = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        extra_json_schema={"format": "date-time"},
    ),
]


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """One message of ``audio.chunks``: some audio of one stream.

    Attributes
    ----------
    data
        Encoded audio, decodable alone, or raw PCM. Empty only to end a stream.
    stream_id
        The key, or ``None``: then the message is a stream of its own that ends with it.
    content_type
        MIME type, or ``None``: then the container is recognised by its first bytes.
    final
        Whether the stream ends with this chunk.
    sequence
        Number of the chunk in its stream, counted by the producer, or ``None``.
    traceparent
        W3C trace context, passed on unread.
    captured_at
        When the first sample was heard, in milliseconds since 1970, or ``None``: then it is the
        time of the message less the length of the chunk.
    """

    data: bytes
    stream_id: str | None = None
    content_type: str | None = None
    final: bool = False
    sequence: int | None = None
    traceparent: str | None = None
    captured_at: int | None = None


class Place(Struct, frozen=True, forbid_unknown_fields=False):
    """The place of a message in the log. The first chunk's is the `origin` of its stream.

    Attributes
    ----------
    topic, partition, offset
        The message's.
    """

    topic: str
    partition: Count
    offset: Count

    def __str__(self) -> str:
        """Write it as people do: ``audio.chunks[2]@17``."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Content(Struct, frozen=True):
    """What kind of sound a window holds, before which genre: each probability by itself.

    Attributes
    ----------
    music, speech, other
        Probability that there is some; a jingle under a voice has both music and speech.
    """

    music: Probability
    speech: Probability
    other: Probability


class Shares(Struct, frozen=True):
    """How much of a stream, or of a segment, is what kind of sound: fractions of its windows.

    Attributes
    ----------
    music, speech, other, silence
        The fractions; music and speech may overlap.
    """

    music: Probability
    speech: Probability
    other: Probability
    silence: Probability


class FeatureVector(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One message of ``audio.features``: the features of one window of a stream.

    Attributes
    ----------
    event_id
        The same for the same audio at the same place of the log, however often it is processed.
    stream_id
        Key of the chunks, or the place of the message in the log when it had none.
    origin
        Place of the stream's first chunk.
    feature_set
        Name of the recipe, such as ``librosa-52``.
    window_index
        Number of this window in its stream, from 0.
    start_seconds, end_seconds
        Span of the window, from the start of the stream.
    level_dbfs
        Root mean square level of the window, in dB relative to full scale; -120 at the lowest.
    values
        The features, in the order of the set's names. Empty only in the message that ends a
        stream of which no audio was left for another window.
    final
        Whether the stream ends with this message.
    missing_chunks
        Number of chunks that are missing in this window by the producer's own count (header
        ``sequence``): lost on their way, late, or dead letters; and of chunks that are damaged and
        were heard in part. The audio around is joined,
        and the seconds count what was heard.
    heard_at
        When the window's first sample was heard; null from extractors before version 0.2.
    content
        What kind of sound the window holds; null where content is not asked for.
    content_embedding
        What content goes by, the 192 values of ``ced-192``. Empty where content is not asked for,
        and in windows that are said to hold what the one before them holds.
    schema_version
        Version of this schema; another major version is refused.
    """

    event_id: str
    stream_id: str
    origin: Place
    feature_set: str
    window_index: Count
    start_seconds: Seconds
    end_seconds: Seconds
    level_dbfs: float
    values: tuple[float, ...]
    final: bool = False
    missing_chunks: Count = 0
    heard_at: Time | None = None
    content: Content | None = None
    content_embedding: tuple[float, ...] = ()
    schema_version: SchemaVersion = SCHEMA_VERSION


class ModelReference(Struct, frozen=True):
    """The model that made a prediction.

    Attributes
    ----------
    name, version
        As in the model's metadata.
    """

    name: str
    version: str


class WindowAnswer(Struct, frozen=True):
    """What the model says of one window alone.

    Attributes
    ----------
    label
        The most probable genre, ``unknown`` if none is probable enough or there is neither music
        nor speech, ``speech``, or ``silence``.
    confidence
        Probability of the most probable genre, of speech, or of neither; 1 for silence.
    probabilities
        Probability of every genre; they sum to 1. The more speech covers the music, the more alike
        they are. Empty for what is no music, which has no genre.
    """

    label: str
    confidence: Probability
    probabilities: dict[str, Probability]


class Now(Struct, frozen=True):
    """What a stream sounds like now: the answer for its last seconds, 30 unless set otherwise.

    Attributes
    ----------
    label
        The label that holds: it changes only when another one has led for a while. A genre,
        ``speech``, ``silence`` or ``unknown``.
    confidence
        Mean confidence in that label over the last seconds.
    probabilities
        Mean probability of every genre over the last seconds; empty where no window counts.
    since
        `heard_at` of the first window of this label; null where the vectors have no time.
    """

    label: str
    confidence: Probability
    probabilities: dict[str, Probability]
    since: Time | None


class GenrePrediction(Struct, frozen=True, kw_only=True):
    """One message of ``genre.predictions``: the answer for a stream so far, and for its window.

    Attributes
    ----------
    event_id
        The feature vector's, and the name of the model.
    stream_id, origin, feature_set, window_index, start_seconds, end_seconds, missing_chunks
        The feature vector's.
    model
        What made the prediction.
    label
        The most probable genre of the whole stream so far, ``unknown`` if none is probable enough;
        ``speech`` or ``unknown`` if hardly any of it is music, ``silence`` if it is silence alone.
    confidence
        Probability of the most probable genre; without one the share of the windows that have the
        label, 1 for silence.
    probabilities
        Mean of the probabilities of the stream's windows of music so far; a window counts less the
        more speech covers its music. A model whose file says so (``vote_sharpness``) is surer of
        the mean the more windows it has: it is raised to a power then, and its order stays.
        Empty if hardly any of the stream is music.
    windows
        Number of windows in that mean.
    window
        The answer for this window alone; null in the message that ends a stream of which no
        audio was left for another window.
    final
        Whether this is the last prediction of the stream.
    heard_at
        When the window's first sample was heard; null where the vector has no time.
    content
        What kind of sound the window holds; null where the vector does not say.
    shares
        How much of the stream so far is music, speech, other sound and silence; null where the
        vectors do not say.
    now
        The answer for the last seconds; null from classifiers before version 0.2.
    level_dbfs
        The feature vector's; null in the message that ends a stream of which no audio was left,
        and from classifiers before version 0.2.
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
    label: str
    confidence: Probability
    probabilities: dict[str, Probability]
    windows: Count
    window: WindowAnswer | None
    final: bool = False
    missing_chunks: Count = 0
    heard_at: Time | None = None
    content: Content | None = None
    shares: Shares | None = None
    now: Now | None = None
    level_dbfs: float | None = None
    schema_version: SchemaVersion = SCHEMA_VERSION


def feature_event_id(origin: Place, feature_set: str, window_index: int) -> str:
    """Identify a feature vector by what it was made from.

    >>> feature_event_id(Place("audio.chunks", 3, 1042), "librosa-52", 7)
    'audio.chunks/3/1042/librosa-52/7'
    """
    return f"{origin.topic}/{origin.partition}/{origin.offset}/{feature_set}/{window_index}"


def prediction_event_id(vector: FeatureVector, model: ModelReference) -> str:
    """Identify a prediction by its feature vector and model, of which there may be several."""
    return f"{vector.event_id}/{model.name}"


def keyless_stream_id(origin: Place) -> str:
    """Name the stream of a message that came without a key by its place in the log.

    >>> keyless_stream_id(Place("audio.chunks", 3, 1042))
    'audio.chunks-3-1042'
    """
    return f"{origin.topic}-{origin.partition}-{origin.offset}"
