"""The generated documents: up to date, consistent, and true of what goes over the wire."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given

from schemas import (
    Event,
    FeatureVector,
    GenrePrediction,
    GenreSegment,
    Station,
    StationEvent,
    encode_event,
)
from schemas.generate import FOLDER, documents, json_schema, main, stale, write
from services.kafka.topics import Topics
from tests.schemas.events import feature_vectors, predictions, segments, station_events

DOCUMENT: dict[str, Any] = msgspec.yaml.decode((FOLDER / "asyncapi.yaml").read_bytes())
MESSAGES = (
    "AudioChunk",
    "FeatureVector",
    "GenrePrediction",
    "GenreSegment",
    "TagPrediction",
    "Station",
    "StationEvent",
    "DeadLetter",
)


def validator(event_type: type[Event | Station]) -> Any:
    return jsonschema.Draft202012Validator(json_schema(event_type))


def test_nothing_is_stale() -> None:
    assert stale() == []


def test_check_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_check_names_what_a_changed_field_makes_stale(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "schemas")
    messages = tmp_path / "schemas" / "messages.py"
    messages.write_text(
        messages.read_text().replace("    level_dbfs: float\n", "    level_dbfs: int\n")
    )
    check = subprocess.run(
        [sys.executable, "-m", "schemas.generate", "--check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 1
    assert check.stderr == "schemas/json/FeatureVector.schema.json is stale: run make schemas\n"


def test_output_is_deterministic() -> None:
    assert documents() == documents()


def test_a_changed_missing_or_extra_file_is_stale(tmp_path: Path) -> None:
    write(tmp_path)
    assert stale(tmp_path) == []
    vector = tmp_path / "json" / "FeatureVector.schema.json"
    vector.write_text(vector.read_text().replace('"minimum": 0', '"minimum": 1'))
    (tmp_path / "json" / "Old.schema.json").write_text("{}")
    (tmp_path / "asyncapi.yaml").unlink()
    assert stale(tmp_path) == [
        "asyncapi.yaml",
        "json/FeatureVector.schema.json",
        "json/Old.schema.json",
    ]


@pytest.mark.parametrize(
    "event_type", [FeatureVector, GenrePrediction, GenreSegment, Station, StationEvent]
)
def test_schemas_are_valid_and_describe_every_field(event_type: type[Event | Station]) -> None:
    schema = json_schema(event_type)
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in (schema, *schema["$defs"].values()):
        assert part["description"]
        assert [
            name for name, field in part["properties"].items() if "description" not in field
        ] == []


@given(feature_vectors)
def test_encoded_feature_vectors_fit_their_schema(vector: FeatureVector) -> None:
    validator(FeatureVector).validate(json.loads(encode_event(vector)))


@given(predictions)
def test_encoded_predictions_fit_their_schema(prediction: GenrePrediction) -> None:
    validator(GenrePrediction).validate(json.loads(encode_event(prediction)))


@given(segments)
def test_encoded_segments_fit_their_schema(segment: GenreSegment) -> None:
    validator(GenreSegment).validate(json.loads(encode_event(segment)))


@given(station_events)
def test_encoded_station_events_fit_their_schema(event: StationEvent) -> None:
    validator(StationEvent).validate(json.loads(encode_event(event)))


@pytest.mark.parametrize(
    "change",
    [{"schema_version": "2.0"}, {"window_index": -1}, {"values": ["1"]}, {"origin": {}}],
)
def test_the_schema_refuses_what_the_codec_refuses(change: dict[str, Any]) -> None:
    payload = DOCUMENT["components"]["messages"]["FeatureVector"]["examples"][0]["payload"]
    with pytest.raises(jsonschema.ValidationError):
        validator(FeatureVector).validate(payload | change)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def resolve(reference: str) -> Any:
    if not reference.startswith("#/"):
        return json.loads((FOLDER / reference).read_text())
    node: Any = DOCUMENT
    for part in reference[2:].split("/"):
        node = node[part]
    return node


def test_every_reference_resolves() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 20
    assert all(resolve(reference) for reference in found)


def test_channels_are_the_topics() -> None:
    addresses = [channel["address"] for channel in DOCUMENT["channels"].values()]
    assert tuple(addresses) == Topics().all
    for channel in DOCUMENT["channels"].values():
        assert channel["bindings"]["kafka"]["topic"] == channel["address"]


def test_every_operation_carries_messages_of_its_channel() -> None:
    operations = DOCUMENT["operations"].values()
    assert {tag["name"] for operation in operations for tag in operation["tags"]} == {
        "producer",
        "extractor",
        "classifier",
        "consumer",
        "operator",
        "receiver",
    }
    for operation in operations:
        channel = operation["channel"]["$ref"]
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


def test_every_topic_is_written_and_read() -> None:
    pairs = {(op["channel"]["$ref"], op["action"]) for op in DOCUMENT["operations"].values()}
    assert pairs == {
        (f"#/channels/{name}", action)
        for name in DOCUMENT["channels"]
        for action in ("send", "receive")
    }


@pytest.mark.parametrize("name", MESSAGES)
def test_examples_fit_their_headers_and_payload(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    payload = message["payload"]
    schema = resolve(payload["$ref"]) if "$ref" in payload else payload
    assert message["examples"]
    for example in message["examples"]:
        jsonschema.Draft202012Validator(message["headers"]).validate(example["headers"])
        jsonschema.Draft202012Validator(schema).validate(example["payload"])


def test_every_message_is_described() -> None:
    assert tuple(DOCUMENT["components"]["messages"]) == MESSAGES
    headers = DOCUMENT["components"]["messages"]["DeadLetter"]["headers"]
    example = DOCUMENT["components"]["messages"]["DeadLetter"]["examples"][0]["headers"]
    assert set(headers["required"]) == {name for name in example if name.startswith("dead_letter")}
