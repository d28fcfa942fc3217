import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import (
    SCHEMA_VERSION,
    AudioChunk,
    DeadLetterReason,
    Event,
    FeatureVector,
    GenrePrediction,
    Headers,
    Place,
    dead_letter_headers,
    decode_chunk,
    decode_dead_letter,
    decode_event,
    decode_final,
    decode_stream_id,
    encode_chunk_headers,
    encode_event,
    encode_event_headers,
    header,
    original_headers,
)
from schemas.codec import MAX_SEQUENCE, MAX_STREAM_ID_BYTES
from schemas.errors import CorruptAudio, MessageError
from schemas.examples import EXAMPLE_PREDICTION, EXAMPLE_VECTOR
from tests.schemas.events import feature_vectors, predictions

TIMESTAMP_MS = 1_767_225_600_123
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@given(feature_vectors)
def test_feature_vector_round_trip(vector: FeatureVector) -> None:
    assert decode_event(encode_event(vector), FeatureVector) == vector


@given(predictions)
def test_prediction_round_trip(prediction: GenrePrediction) -> None:
    assert decode_event(encode_event(prediction), GenrePrediction) == prediction


@given(
    st.builds(
        AudioChunk,
        data=st.binary(),
        stream_id=st.none() | st.text(min_size=1, max_size=MAX_STREAM_ID_BYTES // 4),
        content_type=st.none() | printable,
        final=st.booleans(),
        sequence=st.none() | st.integers(0, MAX_SEQUENCE),
        traceparent=st.none() | printable,
    )
)
def test_chunk_round_trip(chunk: AudioChunk) -> None:
    key = chunk.stream_id.encode() if chunk.stream_id else None
    assert decode_chunk(key, chunk.data, encode_chunk_headers(chunk)) == chunk


def test_a_chunk_without_value_is_empty() -> None:
    assert decode_chunk(b"a", None, []) == AudioChunk(b"", "a")


@given(st.binary())
def test_no_bytes_raise_anything_but_a_message_error(data: bytes) -> None:
    with pytest.raises(MessageError, match="not a FeatureVector"):
        decode_event(data, FeatureVector)


def document(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode_event(EXAMPLE_VECTOR)) | changes).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "not a FeatureVector: Input data was truncated"),
        (b"", "not a FeatureVector: Input data was truncated"),
        (b"RIFF", "not a FeatureVector: JSON is malformed"),
        (b"null", "not a FeatureVector: Expected `object`, got `null`"),
        (b"{}", "missing required field `schema_version`"),
        (b'{"schema_version": 1}', r"Expected `str`, got `int` - at `\$.schema_version`"),
        (b'{"schema_version": "1.0", "event_id": "\xff"}', "'utf-8' codec can't decode"),
        (b'{"schema_version": "1.0", "x": ' + b"[" * 100_000, "recursion depth"),
        (document(schema_version="2.0"), "schema version '2.0', this service reads 1.0: upgrade"),
        (document(schema_version="10.0"), "schema version '10.0'"),
        (document(schema_version=""), "schema version ''"),
        (encode_event(EXAMPLE_PREDICTION), "missing required field `values`"),
        (document(values=[1.0, None]), r"Expected `float`, got `null` - at `\$.values\[1\]`"),
        (document(window_index=-1), r"Expected `int` >= 0 - at `\$.window_index`"),
        (document(origin={"topic": "audio.chunks"}), "missing required field `partition`"),
    ],
)
def test_bad_events_are_refused_in_words(data: bytes | None, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        decode_event(data, FeatureVector)


@pytest.mark.parametrize(
    "name",
    sorted(
        json.loads(encode_event(EXAMPLE_VECTOR)).keys()
        - {"final", "missing_chunks", "heard_at", "content", "content_embedding"}
    ),
)
def test_every_field_without_a_default_is_required(name: str) -> None:
    fields = json.loads(encode_event(EXAMPLE_VECTOR))
    del fields[name]
    with pytest.raises(MessageError, match=f"missing required field `{name}`"):
        decode_event(json.dumps(fields).encode(), FeatureVector)


@pytest.mark.parametrize("version", [SCHEMA_VERSION, "1.7", "1"])
def test_minor_versions_and_unknown_fields_are_read(version: str) -> None:
    vector = decode_event(document(schema_version=version, mood={"sad": [1]}), FeatureVector)
    assert vector.schema_version == version
    assert vector.values == EXAMPLE_VECTOR.values


@pytest.mark.parametrize(("key", "stream_id"), [(None, None), (b"", None), ("ü".encode(), "ü")])
def test_keys(key: bytes | None, stream_id: str | None) -> None:
    assert decode_stream_id(key) == stream_id


def test_the_longest_key() -> None:
    assert decode_stream_id(b"k" * MAX_STREAM_ID_BYTES) == "k" * MAX_STREAM_ID_BYTES


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"\xff\x00", r"the key b'\\xff\\x00' is not UTF-8: use text as stream id"),
        (b"k" * (MAX_STREAM_ID_BYTES + 1), "the key has 1025 bytes, at most 1024 are allowed"),
    ],
)
def test_bad_keys(key: bytes, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        decode_chunk(key, b"", [])


@pytest.mark.parametrize(
    ("value", "final"),
    [(b"true", True), (b" TRUE ", True), (b"1", True), (b"False", False), (b"0", False)],
)
def test_final(value: bytes, final: bool) -> None:
    assert decode_final([("Final", value)]) is final


def test_final_is_false_by_default() -> None:
    assert not decode_final([("content-type", b"audio/wav")])


@pytest.mark.parametrize("value", [b"", b"yes", b"2", "wahr".encode("utf-16")])
def test_bad_final(value: bytes) -> None:
    with pytest.raises(MessageError, match=r"header 'final' is .*(use true or false|\\xff)"):
        decode_chunk(b"a", b"", [("final", value)])


@pytest.mark.parametrize(
    ("value", "sequence"), [(b"0", 0), (b" 007 ", 7), (b"%d" % MAX_SEQUENCE, MAX_SEQUENCE)]
)
def test_sequence(value: bytes, sequence: int) -> None:
    assert decode_chunk(b"a", b"", [("Sequence", value)]).sequence == sequence


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"-1",
        b"1.5",
        b"0x1",
        b"first",
        "\u0664".encode(),
        b"%d" % (MAX_SEQUENCE + 1),
        b"9" * 99,
    ],
)
def test_bad_sequence(value: bytes) -> None:
    with pytest.raises(MessageError, match=r"header 'sequence' is .*in decimal digits, up to 9007"):
        decode_chunk(b"a", b"", [("sequence", value)])


@pytest.mark.parametrize("name", ["content-type", "traceparent", "sequence"])
def test_headers_must_be_text(name: str) -> None:
    with pytest.raises(MessageError, match=f"header '{name}' is not UTF-8: b'.xff'"):
        decode_chunk(b"a", b"", [(name, b"\xff")])


def test_the_last_of_equal_headers_counts() -> None:
    headers = [("Content-Type", b"audio/wav"), ("other", b"x"), ("content-type", b" audio/flac ")]
    assert header(headers, "content-type") == "audio/flac"
    assert header(headers, "traceparent") is None


@pytest.mark.parametrize(
    ("event", "event_type", "source"),
    [
        (EXAMPLE_VECTOR, "genrestream.feature_vector.v1", "genrestream/extractor"),
        (EXAMPLE_PREDICTION, "genrestream.genre_prediction.v1", "genrestream/classifier"),
    ],
)
def test_cloud_events_headers_are_complete(event: Event, event_type: str, source: str) -> None:
    headers = encode_event_headers(event, TIMESTAMP_MS, "00-ab-cd-01")
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": event.event_id.encode(),
        "ce_type": event_type.encode(),
        "ce_source": source.encode(),
        "ce_subject": b"radio-1",
        "ce_time": b"2026-01-01T00:00:00.123Z",
        "content-type": b"application/json",
        "traceparent": b"00-ab-cd-01",
    }
    assert len(headers) == len(dict(headers))


def test_no_trace_is_invented() -> None:
    assert header(encode_event_headers(EXAMPLE_VECTOR, TIMESTAMP_MS), "traceparent") is None


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_clock_of_a_producer_is_survived(timestamp_ms: int) -> None:
    time = header(encode_event_headers(EXAMPLE_VECTOR, timestamp_ms), "ce_time")
    assert time is not None
    assert 1970 <= datetime.fromisoformat(time).year <= 9999


def test_dead_letters_keep_the_headers_of_the_original() -> None:
    original: Headers = [("final", b"maybe"), ("x", b"\xff"), ("x", b"2"), ("traceparent", b"t")]
    error = CorruptAudio("the message is empty: ünd so weiter")
    headers = dead_letter_headers(Place("audio.chunks", 3, 1042), 17, "extractor", error, original)
    assert headers == [
        *original,
        ("dead_letter_topic", b"audio.chunks"),
        ("dead_letter_partition", b"3"),
        ("dead_letter_offset", b"1042"),
        ("dead_letter_timestamp", b"17"),
        ("dead_letter_service", b"extractor"),
        ("dead_letter_error", b"corrupt-audio"),
        ("dead_letter_message", "the message is empty: ünd so weiter".encode()),
    ]


def test_a_dead_letter_sent_again_tells_of_its_latest_failure_only() -> None:
    error = CorruptAudio("broken")
    once = dead_letter_headers(Place("audio.chunks", 0, 1), 17, "extractor", error, [("x", b"1")])
    twice = dead_letter_headers(Place("audio.chunks", 0, 9), 18, "extractor", error, once)
    assert len(twice) == len(once)
    assert dict(twice)["dead_letter_offset"] == b"9"
    assert dict(twice)["x"] == b"1"


def test_the_reason_of_a_dead_letter_comes_back() -> None:
    origin, error = Place("audio.chunks", 3, 1042), CorruptAudio("ünd so weiter")
    headers = dead_letter_headers(origin, 17, "extractor", error, [("x", b"\xff")])
    reason = decode_dead_letter(headers)
    assert reason == DeadLetterReason(origin, 17, "extractor", "corrupt-audio", "ünd so weiter")
    assert original_headers(headers) == [("x", b"\xff")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("dead_letter_topic", b""), ("dead_letter_offset", b"one"), ("dead_letter_error", b"\xff")],
)
def test_what_is_no_dead_letter_is_refused(name: str, value: bytes) -> None:
    headers = dead_letter_headers(Place("t", 0, 1), 17, "extractor", CorruptAudio("broken"), [])
    with pytest.raises(MessageError):
        decode_dead_letter([*headers, (name, value)])
    with pytest.raises(MessageError, match="not a dead letter"):
        decode_dead_letter([pair for pair in headers if pair[0] != name])
