"""Model files are what their cards say: read with a check of the SHA-256."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from schemas.errors import ModelError
from schemas.model_metadata import ModelMetadata

_DIGEST: Final = re.compile(r"^sha256: ([0-9a-f]{64})$", re.MULTILINE)


def card_path(model: Path) -> Path:
    """Return where the card of a model file is: beside it, with the ending ``.md``."""
    return model.with_suffix(".md")


def read_model(path: Path, *, needs_card: bool = False) -> bytes:
    """Read a model file and compare it with its card.

    Parameters
    ----------
    path
        The file.
    needs_card
        Refuse a file without a card, too; a model of one's own may have none.

    Returns
    -------
    The very bytes that were checked: load these rather than the file once more.

    Raises
    ------
    ModelError
        The file is not the one that its card is of, or the card is missing or names none.
    """
    data, card = path.read_bytes(), card_path(path)
    if not card.is_file():
        if needs_card:
            raise ModelError(f"{path.name} has no card {card.name} to check it by: install it anew")
        return data
    stated = _DIGEST.findall(card.read_text(encoding="utf-8"))
    if len(stated) != 1:
        raise ModelError(
            f"the card {card.name} states {len(stated)} lines «sha256: …», needed is one: export "
            "the model again, or remove a card that is not its own"
        )
    found = hashlib.sha256(data).hexdigest()
    if found != stated[0]:
        raise ModelError(
            f"{path.name} is not the file that its card is of: it has SHA-256 {found[:12]}…, the "
            f"card states {stated[0][:12]}…: install it anew, or export model and card again"
        )
    return data


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


#: Field numbers of ``ModelProto.metadata_props``, and of ``StringStringEntryProto`` (onnx.proto).
_METADATA_PROPS: Final = 14
_KEY: Final = 1
_VALUE: Final = 2


def _metadata_props(model: bytes) -> Iterator[tuple[str, str]]:
    for number, entry in _fields(memoryview(model)):
        if number == _METADATA_PROPS:
            texts = {field: bytes(value).decode() for field, value in _fields(entry)}
            yield texts.get(_KEY, ""), texts.get(_VALUE, "")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and bytes of each length-delimited field of a protocol buffer.

    https://protobuf.dev/programming-guides/encoding
    """
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
