"""What can be told of an ONNX file without loading it: its metadata, and whether it is whole.

An ONNX file is a protocol buffer (https://protobuf.dev/programming-guides/encoding); the numbers
are those of ``onnx.proto``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from schemas.errors import ModelError
from schemas.model_metadata import ModelMetadata

#: Of ``ModelProto``, and of the ``StringStringEntryProto`` in it.
_METADATA_PROPS: Final = 14
_KEY: Final = 1
_VALUE: Final = 2

#: Fields that lead to tensors, by message: its number there, and the message that it holds.
_INSIDE: Final = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
#: ``TensorProto.external_data``: the tensor is in another file.
_EXTERNAL_DATA: Final = 13
_DEEPEST: Final = 32


def read_metadata(path: Path) -> ModelMetadata:
    """Read what a model file says of itself, without loading its graph.

    Raises
    ------
    ModelError
        The file is missing or no ONNX file, or its metadata does not parse.
    """
    try:
        return ModelMetadata.from_props(dict(_metadata_props(path.read_bytes())))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path} is no ONNX file") from error


def has_external_data(model: bytes) -> bool:
    """Tell whether a model takes weights from other files, whose content nobody has checked.

    What is no ONNX file takes none.
    """
    try:
        return _is_external("model", memoryview(model), 0)
    except (ValueError, IndexError):
        return False


def _is_external(kind: str, message: memoryview, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("the graph is nested too deeply")
    if kind == "tensor":
        return any(number == _EXTERNAL_DATA for number, _ in _fields(message))
    inside = _INSIDE[kind]
    return any(
        _is_external(inside[number], value, depth + 1)
        for number, value in _fields(message)
        if number in inside
    )


def _metadata_props(model: bytes) -> Iterator[tuple[str, str]]:
    for number, entry in _fields(memoryview(model)):
        if number == _METADATA_PROPS:
            texts = {field: bytes(value).decode() for field, value in _fields(entry)}
            yield texts.get(_KEY, ""), texts.get(_VALUE, "")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and bytes of each length-delimited field."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 2:
            length, place = _varint(message, place)
            yield tag >> 3, message[place : place + length]
            place += length
        elif kind == 0:
            _, place = _varint(message, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
