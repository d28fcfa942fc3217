"""The networks that ship in ``models/embeddings``: read with their cards, loaded once a process."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from features.onnx_session import open_session
from schemas.errors import ModelError
from schemas.model_files import read_model

FOLDER: Final = Path(__file__).parents[2] / "models" / "embeddings"


def read_network(file: Path, command: str) -> bytes:
    """Return a network's file, compared with its card.

    Parameters
    ----------
    file
        Its path.
    command
        That makes it again, for the error's remedy.

    Raises
    ------
    ModelError
        It is missing, or not the file that its card describes.
    """
    try:
        return read_model(file, needs_card=True)
    except OSError as error:
        raise _unusable(file, str(error.strerror), command) from error


@cache
def load_network(file: Path, command: str) -> Any:
    """Load a network, once a process.

    Raises
    ------
    ModelError
        It is missing, damaged, or not the file that its card describes.
    """
    try:
        return open_session(read_network(file, command))
    except ValueError as error:
        raise _unusable(file, str(error), command) from error


def _unusable(file: Path, reason: str, command: str) -> ModelError:
    return ModelError(
        f"{file} does not load ({reason}): install genrestream again, or make the file by "
        f"genrestream {command}"
    )
