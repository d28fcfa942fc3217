"""The AsyncAPI 3.0 document of the topics, made from the message types and the codec.

The examples are encoded by the codec itself, so what the document shows is what goes over the wire.
"""

from typing import Any, Final

import msgspec

from schemas.codec import (
    MAX_STREAM_ID_BYTES,
    Event,
    dead_letter_headers,
    encode_chunk_headers,
    encode_event,
    encode_event_headers,
)
from schemas.errors import CorruptAudio
from schemas.examples import (
    EXAMPLE_CHUNK,
    EXAMPLE_PREDICTION,
    EXAMPLE_SEGMENT,
    EXAMPLE_STATION,
    EXAMPLE_STATION_EVENT,
    EXAMPLE_TAGS,
    EXAMPLE_VECTOR,
    ORIGIN,
    TIMESTAMP_MS,
    TRACEPARENT,
)
from schemas.messages import SCHEMA_VERSION

Document = dict[str, Any]

_TRACE: Final = {"type": "string", "description": "W3C trace context, passed on unread."}
_CHUNK_HEADERS: Final[Document] = {
    "content-type": {
        "type": "string",
        "description": (
            "MIME type of the value: audio/wav, audio/flac, audio/ogg, audio/mpeg, "
            "audio/L16;rate=…;channels=… (big-endian) or "
            "audio/pcm;rate=…;channels=…;encoding=s16le|f32le. Without it the container is "
            "recognised by its first bytes."
        ),
    },
    "final": {
        "type": "string",
        "enum": ["true", "false", "1", "0"],
        "description": "Whether the stream ends with this message, whose value may then be empty.",
    },
    "sequence": {
        "type": "string",
        "pattern": "^[0-9]{1,16}$",
        "description": (
            "Number of the chunk in its stream: 0, 1, 2 and so on. With it, repeated chunks are "
            "dropped, late ones are dead letters, and missing ones are counted in the events "
            "(missing_chunks). A number 0 with other audio begins a new stream."
        ),
    },
    "captured-at": {
        "type": "string",
        "format": "date-time",
        "description": (
            "When the first sample was heard, RFC 3339 with a zone. Without it: the time of the "
            "message less the length of the chunk."
        ),
    },
    "traceparent": _TRACE,
}
_DEAD_LETTER_HEADERS: Final[Document] = {
    "dead_letter_topic": "Topic of the message that could not be processed.",
    "dead_letter_partition": "Its partition, a decimal number.",
    "dead_letter_offset": "Its offset, a decimal number.",
    "dead_letter_timestamp": "Its timestamp in milliseconds since 1970, a decimal number.",
    "dead_letter_service": "The service that gave it up.",
    "dead_letter_error": "A stable code for machines, such as corrupt-audio.",
    "dead_letter_message": "The reason and the remedy in words.",
}
_KEY: Final[Document] = {
    "type": "string",
    "maxLength": MAX_STREAM_ID_BYTES,
    "description": "The stream id, UTF-8.",
}


def asyncapi(json_schemas: dict[str, str]) -> Document:
    """Return the document.

    Parameters
    ----------
    json_schemas
        By name of an event type, the path of its JSON Schema from the document.
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "genrestream",
            "version": SCHEMA_VERSION,
            "description": (
                "Live music-genre labels over Kafka. Delivery is at least once: drop duplicates "
                "by event_id. Messages only gain optional fields within a major version: ignore "
                "those that you do not know. A deployment may put a prefix before every topic "
                "name. Each operation is tagged with the party that performs it."
            ),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(json_schemas)},
    }


def _channels() -> Document:
    return {
        "chunks": _channel("audio.chunks", "AudioChunk", "Audio that comes in."),
        "features": _channel(
            "audio.features", "FeatureVector", "Feature vectors, one a window and feature set."
        ),
        "predictions": _channel(
            "genre.predictions",
            "GenrePrediction",
            "Genre labels, one a feature vector; the last of a stream is final.",
        ),
        "segments": _channel(
            "genre.segments",
            "GenreSegment",
            "Stretches of one label, published when the label changes or the stream ends.",
        ),
        "tags": _channel(
            "genre.tags",
            "TagPrediction",
            "Tags, each by itself, one message a feature vector and head; none unless heads are "
            "served.",
        ),
        "stations": _channel(
            "stations",
            "Station",
            "What to listen to, compacted; a message without a value removes the station.",
        ),
        "stationEvents": _channel(
            "station.events", "StationEvent", "What happens to stations: lost, silent, a title."
        ),
        "deadLetters": _channel(
            "audio.dead-letter", "DeadLetter", "What could not be processed, and why."
        ),
    }


def _channel(address: str, message: str, description: str) -> Document:
    return {
        "address": address,
        "description": description,
        "messages": {message: _ref("components", "messages", message)},
        "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
    }


def _operations() -> Document:
    return {
        "produceChunks": _operation("send", "chunks", "AudioChunk", "producer"),
        "extractFeatures": _operation("receive", "chunks", "AudioChunk", "extractor"),
        "publishFeatures": _operation("send", "features", "FeatureVector", "extractor"),
        "rejectChunk": _operation("send", "deadLetters", "DeadLetter", "extractor"),
        "classifyFeatures": _operation("receive", "features", "FeatureVector", "classifier"),
        "publishPredictions": _operation("send", "predictions", "GenrePrediction", "classifier"),
        "publishSegments": _operation("send", "segments", "GenreSegment", "classifier"),
        "publishTags": _operation("send", "tags", "TagPrediction", "classifier"),
        "rejectFeatures": _operation("send", "deadLetters", "DeadLetter", "classifier"),
        "consumePredictions": _operation("receive", "predictions", "GenrePrediction", "consumer"),
        "consumeSegments": _operation("receive", "segments", "GenreSegment", "consumer"),
        "consumeTags": _operation("receive", "tags", "TagPrediction", "consumer"),
        "applyStations": _operation("send", "stations", "Station", "operator"),
        "listenToStations": _operation("receive", "stations", "Station", "receiver"),
        "publishStationEvents": _operation("send", "stationEvents", "StationEvent", "receiver"),
        "consumeStationEvents": _operation("receive", "stationEvents", "StationEvent", "consumer"),
        "inspectDeadLetters": _operation("receive", "deadLetters", "DeadLetter", "consumer"),
    }


def _operation(action: str, channel: str, message: str, party: str) -> Document:
    return {
        "action": action,
        "channel": _ref("channels", channel),
        "messages": [_ref("channels", channel, "messages", message)],
        "tags": [{"name": party}],
    }


def _ref(*path: str) -> Document:
    return {"$ref": "/".join(("#", *path))}


def _messages(json_schemas: dict[str, str]) -> Document:
    return {
        "AudioChunk": _chunk_message(),
        "FeatureVector": _event_message(EXAMPLE_VECTOR, json_schemas),
        "GenrePrediction": _event_message(EXAMPLE_PREDICTION, json_schemas),
        "GenreSegment": _event_message(EXAMPLE_SEGMENT, json_schemas),
        "TagPrediction": _event_message(EXAMPLE_TAGS, json_schemas),
        "Station": _station_message(json_schemas),
        "StationEvent": _event_message(EXAMPLE_STATION_EVENT, json_schemas),
        "DeadLetter": _dead_letter_message(),
    }


def _chunk_message() -> Document:
    key = _KEY | {
        "description": "The stream id, UTF-8. Without a key the message is a stream of its own."
    }
    return {
        "title": "Some audio of one stream",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": _CHUNK_HEADERS},
        "payload": {"type": "string", "format": "binary", "description": "Encoded audio."},
        "bindings": _kafka(key),
        "examples": [
            {
                "name": "end of a stream",
                "headers": _texts(encode_chunk_headers(EXAMPLE_CHUNK)),
                "payload": EXAMPLE_CHUNK.data.decode(),
            }
        ],
    }


def _event_message(event: Event, json_schemas: dict[str, str]) -> Document:
    name = type(event).__name__
    headers = _texts(encode_event_headers(event, TIMESTAMP_MS, TRACEPARENT))
    return {
        "title": f"A {name}",
        "contentType": headers["content-type"],
        "headers": _event_headers(headers),
        "payload": {"$ref": json_schemas[name]},
        "bindings": _kafka(_KEY),
        "examples": [
            {
                "name": f"an example of a {name}",
                "summary": "Shortened: real ones have all features and genres.",
                "headers": headers,
                "payload": msgspec.json.decode(encode_event(event)),
            }
        ],
    }


def _station_message(json_schemas: dict[str, str]) -> Document:
    payload = msgspec.json.decode(encode_event(EXAMPLE_STATION))
    return {
        "title": "A station to listen to",
        "contentType": "application/json",
        "headers": {"type": "object", "properties": {}},
        "payload": {"$ref": json_schemas["Station"]},
        "bindings": _kafka({"type": "string", "description": "The station's id."}),
        "examples": [{"name": "a station", "headers": {}, "payload": payload}],
    }


def _event_headers(example: dict[str, str]) -> Document:
    """Describe the CloudEvents headers: those that are the same in every event by their value."""
    fixed = ("ce_specversion", "ce_type", "ce_source", "content-type")
    properties: Document = {
        name: {"type": "string"} | ({"const": value} if name in fixed else {})
        for name, value in example.items()
    }
    properties["ce_time"]["format"] = "date-time"
    properties["traceparent"] = _TRACE
    return {
        "type": "object",
        "required": [name for name in properties if name != "traceparent"],
        "properties": properties,
    }


def _dead_letter_message() -> Document:
    error = CorruptAudio("the container holds no audio frames")
    original = encode_chunk_headers(EXAMPLE_CHUNK)
    headers = dead_letter_headers(ORIGIN, TIMESTAMP_MS, "extractor", error, original)
    return {
        "title": "A message that could not be processed",
        "summary": "Key, value and headers are the original's; headers say where and why.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": list(_DEAD_LETTER_HEADERS),
            "properties": {
                name: {"type": "string", "description": description}
                for name, description in _DEAD_LETTER_HEADERS.items()
            },
        },
        "payload": {"type": "string", "format": "binary", "description": "The original value."},
        "bindings": _kafka(_KEY | {"description": "The original key, if there was one."}),
        "examples": [{"name": "a chunk without audio", "headers": _texts(headers), "payload": ""}],
    }


def _kafka(key: Document) -> Document:
    return {"kafka": {"key": key, "bindingVersion": "0.5.0"}}


def _texts(headers: list[tuple[str, bytes]]) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}
