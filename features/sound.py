"""Open audio by libsndfile for reading from beginning to end."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import soundfile


class ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is only read forward.

    soundfile seeks after every read of a seekable file. A seek is not exact in an MP3: read in
    blocks, it would give other samples at every border. And it fails at the end of a FLAC whose
    header does not state its length, as of one that was encoded into a pipe.
    """

    def seekable(self) -> bool:
        """Tell soundfile not to seek."""
        return False


@dataclass(frozen=True, slots=True)
class _Source:
    """Encoded bytes as libsndfile asks for them, without a name to guess their format by."""

    file: BinaryIO

    def read(self, size: int) -> bytes:
        """Read at most so many bytes."""
        return self.file.read(size)

    def tell(self) -> int:
        """Return the position."""
        return self.file.tell()

    def seek(self, offset: int, whence: int) -> None:
        """Move; not at all when a broken header asks for a position that cannot be."""
        with suppress(ValueError, OverflowError, OSError):
            self.file.seek(offset, whence)


def open_sound(file: BinaryIO | Path) -> Any:
    """Open an audio file.

    Raises
    ------
    soundfile.LibsndfileError
        libsndfile cannot read it.
    """
    return ForwardSoundFile(file if isinstance(file, Path) else _Source(file))
