"""Kafka keys, headers and values to messages, and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from schemas.echo import echo
from schemas.errors import InputError, MessageError
from schemas.messages import (
    SCHEMA_VERSION,
    AudioChunk,
    FeatureVector,
    GenrePrediction,
    Place,
)
from schemas.segments import GenreSegment
from schemas.stations import Station, StationEvent
from schemas.tags import TagPrediction
from schemas.times import to_milliseconds, to_time

Headers = list[tuple[str, bytes]]
Event = FeatureVector | GenrePrediction | GenreSegment | TagPrediction | StationEvent

MAX_STREAM_ID_BYTES: Final = 1024
#: The largest integer that every JSON reader keeps exact.
MAX_SEQUENCE: Final = 2**53 - 1

_EVENT_TYPES: Final = {
    FeatureVector: ("genrestream.feature_vector.v1", "genrestream/extractor"),
    GenrePrediction: ("genrestream.genre_prediction.v1", "genrestream/classifier"),
    GenreSegment: ("genrestream.genre_segment.v1", "genrestream/classifier"),
    TagPrediction: ("genrestream.tag_prediction.v1", "genrestream/classifier"),
    StationEvent: ("genrestream.station_event.v1", "genrestream/receiver"),
}
_DEAD_LETTER_HEADERS: Final = (
    "dead_letter_topic",
    "dead_letter_partition",
    "dead_letter_offset",
    "dead_letter_timestamp",
    "dead_letter_service",
    "dead_letter_error",
    "dead_letter_message",
)
#: Of a letter that does not hold its whole message: how large that was, and its SHA-256.
_CUT_HEADERS: Final = ("dead_letter_bytes", "dead_letter_sha256")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}

_encoder = msgspec.json.Encoder()
T_ = TypeVar("T_")
E_ = TypeVar(
    "E_", FeatureVector, GenrePrediction, GenreSegment, TagPrediction, Station, StationEvent
)


def header(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    """Return the last header of that name (any case) as text, or ``None``."""
    found = [value for key, value in headers if key.lower() == name]
    if not found or found[-1] is None:
        return None
    try:
        return found[-1].decode().strip()
    except UnicodeDecodeError as error:
        raise MessageError(f"header {name!r} is not UTF-8: {found[-1][:40]!r}") from error


def decode_chunk(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]
) -> AudioChunk:
    """Read the envelope of a message of ``audio.chunks``; the audio itself stays encoded.

    Raises
    ------
    MessageError
        The key is not UTF-8 or too long, or a header has a bad value.
    """
    headers = list(headers)
    return AudioChunk(
        data=value or b"",
        stream_id=decode_stream_id(key),
        content_type=header(headers, "content-type"),
        final=decode_final(headers),
        sequence=decode_sequence(headers),
        traceparent=header(headers, "traceparent"),
        captured_at=decode_captured_at(headers),
    )


def decode_stream_id(key: bytes | None) -> str | None:
    """Read a message key; an empty one counts as none.

    Raises
    ------
    MessageError
        The key is not UTF-8 or longer than `MAX_STREAM_ID_BYTES`.
    """
    if not key:
        return None
    if len(key) > MAX_STREAM_ID_BYTES:
        raise MessageError(
            f"the key has {len(key)} bytes, at most {MAX_STREAM_ID_BYTES} are allowed: "
            "use a shorter stream id"
        )
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"the key {key[:40]!r} is not UTF-8: use text as stream id") from error


def decode_final(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Tell whether the headers mark the end of a stream.

    Raises
    ------
    MessageError
        The header ``final`` is neither true nor false.
    """
    text = header(headers, "final")
    if text is None:
        return False
    if text.lower() not in _BOOLEANS:
        raise MessageError(f"header 'final' is {text[:40]!r}: use true or false")
    return _BOOLEANS[text.lower()]


def decode_sequence(headers: Iterable[tuple[str, bytes]]) -> int | None:
    """Read the number of a chunk in its stream, ``None`` when the producer does not count.

    Raises
    ------
    MessageError
        The header ``sequence`` is no decimal integer from 0 to `MAX_SEQUENCE`.
    """
    text = header(headers, "sequence")
    if text is None:
        return None
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SEQUENCE))
    if not digits or int(text) > MAX_SEQUENCE:
        raise MessageError(
            f"header 'sequence' is {text[:40]!r}: number the chunks of a stream 0, 1, 2 and so on, "
            f"in decimal digits, up to {MAX_SEQUENCE}; or leave the header out"
        )
    return int(text)


def decode_captured_at(headers: Iterable[tuple[str, bytes]]) -> int | None:
    """Read when the first sample was heard, in ms since 1970; ``None`` when it is not said.

    Raises
    ------
    MessageError
        The header ``captured-at`` is no RFC 3339 time with a zone.
    """
    text = header(headers, "captured-at")
    if text is None:
        return None
    try:
        return to_milliseconds(text)
    except (ValueError, OverflowError) as error:
        raise MessageError(
            f"header 'captured-at' is {text[:40]!r}: write the time of the first sample as "
            "2026-11-25T10:00:00.000Z, or leave the header out"
        ) from error


def encode_chunk_headers(chunk: AudioChunk) -> Headers:
    """Return the headers that `decode_chunk` reads."""
    headers: Headers = []
    if chunk.content_type:
        headers.append(("content-type", chunk.content_type.encode()))
    if chunk.final:
        headers.append(("final", b"true"))
    if chunk.sequence is not None:
        headers.append(("sequence", b"%d" % chunk.sequence))
    if chunk.traceparent:
        headers.append(("traceparent", chunk.traceparent.encode()))
    if chunk.captured_at is not None:
        headers.append(("captured-at", to_time(chunk.captured_at).encode()))
    return headers


def encode_event(event: Event | Station) -> bytes:
    """Return the JSON of an event, or of a station."""
    return _encoder.encode(event)


def decode_event(data: bytes | None, event_type: type[E_]) -> E_:
    """Read an event, or a station, from its JSON.

    Raises
    ------
    MessageError
        Not JSON, not of this schema, or of another major version.
    """
    data, name = data or b"", event_type.__name__
    _check_version(_decode_json(data, _Versioned, name).schema_version, name)
    return _decode_json(data, event_type, name)


class _Versioned(msgspec.Struct):
    schema_version: str


def _decode_json(data: bytes, message_type: type[T_], name: str) -> T_:
    try:
        return msgspec.json.decode(data, type=message_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a {name}: {error}") from error


def _check_version(version: str, name: str) -> None:
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise MessageError(
            f"{name} has schema version {version!r}, this service reads {SCHEMA_VERSION}: "
            "upgrade the older side"
        )


def encode_event_headers(
    event: Event, timestamp_ms: int, traceparent: str | None = None
) -> Headers:
    """Return the CloudEvents 1.0 headers (Kafka binding, binary mode) of an event.

    Parameters
    ----------
    event
        The event.
    timestamp_ms
        Time of the message that caused the event, so that a replay gives the same headers.
    traceparent
        W3C trace context of that message.
    """
    event_type, source = _EVENT_TYPES[type(event)]
    values = {
        "ce_specversion": "1.0",
        "ce_id": event.event_id,
        "ce_type": event_type,
        "ce_source": source,
        "ce_subject": event.stream_id,
        "ce_time": to_time(timestamp_ms),
        "content-type": "application/json",
    }
    if traceparent:
        values["traceparent"] = traceparent
    return [(name, value.encode()) for name, value in values.items()]


@dataclass(frozen=True, slots=True)
class DeadLetterReason:
    """What the headers of a dead letter say.

    Attributes
    ----------
    place, timestamp_ms
        Place and time of the message that could not be processed.
    service
        Which could not.
    error
        Code of the error, one of `schemas.errors`.
    message
        The error in words.
    cut_from, sha256
        Size and SHA-256 of the message's value, where the letter does not hold all of the message:
        the broker would not take a letter of that size.
    """

    place: Place
    timestamp_ms: int
    service: str
    error: str
    message: str
    cut_from: int | None = None
    sha256: str | None = None


def dead_letter_headers(
    place: Place,
    timestamp_ms: int,
    service: str,
    error: InputError,
    original: Sequence[tuple[str, bytes]],
) -> Headers:
    """Return the headers of a dead letter: the message's own, then where it failed and why.

    Parameters
    ----------
    place, timestamp_ms
        Of the message.
    service
        Which could not process it.
    error
        Why; its text is made short and printable.
    original
        The message's headers.
    """
    values = (
        place.topic,
        str(place.partition),
        str(place.offset),
        str(timestamp_ms),
        service,
        error.code,
        echo(str(error)),
    )
    reason = zip(_DEAD_LETTER_HEADERS, values, strict=True)
    return original_headers(original) + [(name, value.encode()) for name, value in reason]


def original_headers(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """Return the headers that a message had before it became a dead letter."""
    ours = {*_DEAD_LETTER_HEADERS, *_CUT_HEADERS}
    return [(name, value) for name, value in headers if name not in ours]


def cut_headers(size: int, sha256: str) -> Headers:
    """Return the headers that say that a letter does not hold its whole message."""
    values = (str(size).encode(), sha256.encode())
    return list(zip(_CUT_HEADERS, values, strict=True))


def decode_dead_letter(headers: Iterable[tuple[str, bytes]]) -> DeadLetterReason:
    """Read what `dead_letter_headers` wrote.

    Raises
    ------
    MessageError
        Not the headers of a dead letter.
    """
    headers = list(headers)
    values = [header(headers, name) for name in _DEAD_LETTER_HEADERS]
    topic, partition, offset, timestamp_ms, service, error, message = values
    if not (topic and service and error and message is not None):
        missing = [n for n, v in zip(_DEAD_LETTER_HEADERS, values, strict=True) if v is None]
        raise MessageError(f"not a dead letter: header {', '.join(missing) or 'values'} missing")
    try:
        place = Place(topic, int(partition or ""), int(offset or ""))
        size, sha256 = (header(headers, name) for name in _CUT_HEADERS)
        cut_from = None if size is None else int(size)
        return DeadLetterReason(
            place, int(timestamp_ms or ""), service, error, message, cut_from, sha256
        )
    except ValueError as failure:
        raise MessageError(f"not a dead letter: {failure}") from failure
