"""The OpenAPI document: types and examples come from the messages, problems from their table."""

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from schemas import GenrePrediction, GenreSegment, Station
from schemas.examples import EXAMPLE_PREDICTION, EXAMPLE_STATION
from services.gateway.problems import KINDS, MEDIA_TYPE, Problem
from services.gateway.streams import now_view
from services.gateway.views import Detail, Row, StationView, station_view

_TYPES: Final = (GenrePrediction, GenreSegment, Row, Detail, StationView, Station)
_ROW: Final = Row(
    id="radio-1",
    name="Radio One",
    station=True,
    tags=("jazz", "berlin"),
    state="on-air",
    state_since="2026-01-01T00:00:00.000Z",
    reason=None,
    message=None,
    title="Miles Davis - So What",
    title_at="2026-01-01T00:00:00.000Z",
    now=now_view(EXAMPLE_PREDICTION, -17.4),
)
_EXAMPLES: Final[dict[type, Any]] = {
    GenrePrediction: EXAMPLE_PREDICTION,
    Row: _ROW,
    StationView: station_view(EXAMPLE_STATION),
}
_ALWAYS: Final = (
    *("bad-request", "token-needed", "cross-site", "wrong-host", "too-many", "headers-too-large"),
)


def answers(answer: Any, *problems: str) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route: its own, and the problems that it may end in."""
    described: dict[int | str, dict[str, Any]] = {}
    for code in (*problems, *_ALWAYS):
        kind = KINDS[code]
        content = {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": Problem(code).body(),
            }
        }
        described.setdefault(kind.status, {"description": kind.title, "content": content})
    if answer is str:
        described[200] = {"description": "The answer", "content": {"text/plain": {}}}
        return described
    if answer is not None:
        content = {"application/json": _content(answer)}
        described[200] = {"description": "The answer", "content": content}
    return described


def _content(answer: Any) -> dict[str, Any]:
    item = getattr(answer, "__args__", (answer,))[0]
    is_list = getattr(answer, "__origin__", None) is list
    schema = {"$ref": f"#/components/schemas/{item.__name__}"} if item in _TYPES else {}
    content: dict[str, Any] = {"schema": {"type": "array", "items": schema} if is_list else schema}
    if item in _EXAMPLES:
        example = msgspec.to_builtins(_EXAMPLES[item])
        content["example"] = [example] if is_list else example
    return content


def audio_body() -> dict[str, Any]:
    """Describe a body of audio."""
    types = ("audio/mpeg", "audio/flac", "audio/ogg", "audio/wav", "audio/pcm")
    schema = {"type": "string", "format": "binary"}
    content = {name: {"schema": schema} for name in (*types, "application/octet-stream")}
    return {"requestBody": {"required": True, "content": content}}


def station_body() -> dict[str, Any]:
    """Describe a station as a body."""
    example = msgspec.to_builtins(EXAMPLE_STATION)
    schema = {"$ref": "#/components/schemas/Station"}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    }


def json_body(example: dict[str, str]) -> dict[str, Any]:
    """Describe a small object of texts as a body."""
    properties = {name: {"type": "string"} for name in example}
    schema = {"type": "object", "properties": properties, "required": list(example)}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _, components = msgspec.json.schema_components(
        _TYPES, ref_template="#/components/schemas/{name}"
    )
    schemas.update(components)
    schemas["Problem"] = {
        "type": "object",
        "description": "RFC 9457, with the remedy",
        "properties": {
            "type": {
                "type": "string",
                "enum": [f"urn:genrestream:problem:{code}" for code in KINDS],
            },
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "remedy": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail", "remedy"],
    }
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "genrestream"},
    }
    document["security"] = [{}, {"token": []}, {"cookie": []}]
    app.openapi_schema = document
    return document
