"""Open audio by libsndfile for reading from beginning to end, as all callers do."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import soundfile

from features.formats.spliced import Source, size_of
from schemas.errors import CorruptAudio

#: Pieces of a file that are copied into memory for libsndfile at most.
_COPIED_BYTES: Final = 1 << 25
#: What libsndfile says, and what it means.
_LIBSNDFILE_RIDDLES: Final = {
    "Internal error : SF_INFO struct incomplete.": "its header gives 0 Hz or no channels",
    "Unspecified internal error.": "the bytes are no audio that it knows",
    "Format not recognised.": "the bytes are no audio that it knows",
}
_UNKNOWN_ENCODING: Final = "Supported file format but unsupported encoding."


class UnknownEncoding(CorruptAudio):
    """The container is known to libsndfile, and the encoding in it is not."""


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

    file: Source

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


@contextmanager
def _source(file: Source) -> Iterator[_Source | int]:
    """Hand libsndfile a descriptor where the system has files in memory, as Linux does.

    Otherwise it reads by calling Python, 77 times a second of MP3, and each time waits for the
    lock that the threads of a busy worker hold. An open file gets a descriptor with a position of
    its own; pieces of files are copied, unless they are long.
    """
    if not hasattr(os, "memfd_create"):
        yield _Source(file)
    elif isinstance(file, io.BufferedReader | io.BufferedRandom):
        own = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(own, "rb") as again:
            yield again.fileno()
    elif not isinstance(file, io.BytesIO) and size_of(file) > _COPIED_BYTES:
        yield _Source(file)
    else:
        with os.fdopen(os.memfd_create("audio"), "wb") as copy:
            copy.write(file.getvalue() if isinstance(file, io.BytesIO) else file.read())
            copy.seek(0)
            yield copy.fileno()


@contextmanager
def open_by_libsndfile(file: Source) -> Iterator[Any]:
    """Open audio, to be read as from `soundfile.SoundFile`.

    Raises
    ------
    CorruptAudio
        It is empty, or does not decode, also while it is read.
    """
    file.seek(0)
    try:
        with _source(file) as source, ForwardSoundFile(source, closefd=False) as sound:
            yield sound
    except soundfile.LibsndfileError as error:
        raise corrupt(error) from error


def corrupt(error: soundfile.LibsndfileError) -> CorruptAudio:
    """Return libsndfile's error in words.

    Raises
    ------
    MemoryError
        It had no memory: no fault of the audio.
    """
    said = error.error_string.strip()
    if "malloc" in said:
        raise MemoryError(said)
    kind = UnknownEncoding if said == _UNKNOWN_ENCODING else CorruptAudio
    return kind(f"libsndfile cannot decode the audio: {_LIBSNDFILE_RIDDLES.get(said, said)}")
