"""Folders for what a command needs on disk while it runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import SettingsError


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder, and remove it at the end.

    Raises
    ------
    SettingsError
        No folder for temporary files can be written.
    """
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise SettingsError(
            f"no folder for temporary files can be written ({error.strerror}): set TMPDIR to one"
        ) from error
    with folder as path:
        yield Path(path)
