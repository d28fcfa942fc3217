"""An uploaded file: its bytes as they come, and as a file that ends where it has come to.

The bytes lie in a file without a name on disk: memory is bounded whatever is sent.
"""

import io
import os
import tempfile
import threading
from typing import Any, BinaryIO, cast


class UploadEnded(Exception):
    """Nothing more will come: the client went away."""


class GrowingFile:
    """A file that one thread writes, while another looks at what has come."""

    def __init__(self) -> None:
        self._file = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
        self._changed = threading.Condition()
        self._written = 0
        self._ended = False
        self._failure: Exception | None = None

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self._written

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        with self._changed:
            self._file.seek(self._written)
            self._file.write(data)
            self._written += len(data)
            self._changed.notify_all()

    def finish(self, failure: Exception | None = None) -> None:
        """Say that all bytes came, or that no more will, for a reason."""
        with self._changed:
            self._ended = True
            self._failure = self._failure or failure
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until all bytes came; raises why they do not."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended)
            if self._failure:
                raise self._failure

    def read_at(self, position: int, size: int) -> bytes:
        """Read bytes that came."""
        return os.pread(self._file.fileno(), size, position)

    def wait_for(self, size: int, seconds: float) -> bool:
        """Wait until so many bytes came; tell whether more may come.

        Parameters
        ----------
        size
            Bytes.
        seconds
            The least time to wait, so that a fast upload is not looked at again and again.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended, seconds)
            self._changed.wait_for(lambda: self._ended or self._written >= size)
            return not self._ended

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


class Prefix(io.RawIOBase):
    """The bytes of a growing file that were there at some time, as a file of its own."""

    def __init__(self, file: GrowingFile) -> None:
        super().__init__()
        self._file, self._size, self._position = file, file.size, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it has positions."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move."""
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        self._position = max(0, bases[whence] + offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, fewer only at the end."""
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._file.read_at(self._position, wanted)
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
