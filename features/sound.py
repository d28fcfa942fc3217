"""Open audio by libsndfile for reading from beginning to end."""

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


def open_sound(file: BinaryIO | Path) -> Any:
    """Open an audio file.

    Raises
    ------
    soundfile.LibsndfileError
        libsndfile cannot read it.
    """
    return ForwardSoundFile(file)
