"""What ffmpeg hears for us, in a process of its own with limits on memory and time.

It is given the file and no name: no playlist, no address and no other file is ever opened.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.formats.ffmpeg import REMEDY, ffmpeg_path
from features.formats.parts import Part
from features.formats.spliced import Source, size_of
from features.formats.table import BY_NAME, DEMUXERS
from schemas.errors import CorruptAudio, UnsupportedAudio

_MAX_BYTES: Final = 1 << 30  # of memory, 1 GiB of addresses
_MAX_CPU_SECONDS: Final = 3_600
_COPY: Final = 1 << 20
_WORD: Final = re.compile(r"Audio: (\w+).*?, (\d+) Hz, ([^,]+)")
_CHANNELS: Final = {"mono": 1, "stereo": 2}
#: Of channel layouts with another number than these, ffmpeg makes two.
_LAST_WORDS: Final = 200


class ForeignSound:
    """Audio that ffmpeg decodes, read from its output as it comes.

    Attributes
    ----------
    samplerate
        In Hz.
    channels
        How many: as in the file up to two, else mixed to two.
    subtype
        Floats, as far as we know.
    """

    subtype = "FLOAT"

    def __init__(self, part: Part, ffmpeg: str) -> None:
        self._part = part
        self._file = _as_file(part.source)
        stream = _probe(ffmpeg, self._file, part)
        self.samplerate, self.channels = stream
        self.frames = -1
        self._errors = _scratch()
        shape = ["-ac", str(self.channels), "-ar", str(self.samplerate), "-f", "f32le"]
        command = [ffmpeg, *_input(part), "-map", "0:a:0", *shape, "pipe:1"]
        self._process = _start(command, self._file, self._errors)

    def read(self, frames: int) -> NDArray[np.float32]:
        """Read at most so many frames [shape=(n, channels)]; none at the end."""
        assert self._process.stdout
        data = self._process.stdout.read(frames * 4 * self.channels)
        whole = len(data) // (4 * self.channels) * self.channels
        return np.frombuffer(data, "<f4", whole).reshape(-1, self.channels)

    def complaint(self) -> str:
        """Return what ffmpeg says was wrong, once it is at its end."""
        self._process.wait()
        self._errors.seek(0)
        return _last_words(self._errors.read(_COPY))

    def close(self) -> None:
        """End the process."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for file in (self._process.stdout, self._file, self._errors):
            file.close()  # type: ignore[union-attr]  # stdout is a pipe


def open_foreign(part: Part, *, allowed: bool) -> ForeignSound:
    """Open a part by ffmpeg.

    Raises
    ------
    UnsupportedAudio
        There is no ffmpeg, or it must not be used here.
    CorruptAudio
        ffmpeg finds no audio in it.
    """
    row = BY_NAME.get(part.format)
    title = row.title if row else part.format
    if not allowed:
        raise UnsupportedAudio(
            f"{title} is decoded by ffmpeg alone, which a worker does not run on what comes from a "
            "topic: convert it before it is sent, as genrestream produce does, or set "
            "GENRESTREAM_FFMPEG_IN_WORKERS=true"
        )
    ffmpeg = ffmpeg_path()
    if ffmpeg is None:
        raise UnsupportedAudio(
            f"{title} is decoded by ffmpeg, and there is none: {REMEDY}; or convert the file to "
            "WAV, FLAC, Ogg or MP3"
        )
    return ForeignSound(part, ffmpeg)


def _input(part: Part) -> list[str]:
    demuxer = ["-f", part.demuxer] if part.demuxer else ["-format_whitelist", ",".join(_all())]
    head = ["-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-vn"]
    return [*head, "-protocol_whitelist", "file", *demuxer, "-i", "file:/dev/fd/0"]


def _all() -> list[str]:
    return sorted({*DEMUXERS, "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav", "aiff", "mp3"})


def _as_file(source: Source) -> Any:
    """Return a file that ffmpeg can seek in."""
    if hasattr(source, "fileno") and not isinstance(source, io.BytesIO):
        return os.fdopen(os.dup(source.fileno()), "rb")
    file = _scratch()
    size_of(source)
    while data := source.read(_COPY):
        file.write(data)
    file.flush()
    return file


def _scratch() -> Any:
    """Return an empty file without a name: in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("audio"), "w+b")
    return tempfile.TemporaryFile()


def _start(command: list[str], file: Any, errors: Any) -> subprocess.Popen[bytes]:
    file.seek(0)
    process = subprocess.Popen(  # noqa: S603  # ours, and the file has no name
        command, stdin=file, stdout=subprocess.PIPE, stderr=errors, env={}
    )
    if sys.platform == "linux":
        import resource

        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))
            limits = (_MAX_CPU_SECONDS, _MAX_CPU_SECONDS)
            resource.prlimit(process.pid, resource.RLIMIT_CPU, limits)
    return process


def _probe(ffmpeg: str, file: Any, part: Part) -> tuple[int, int]:
    """Ask ffmpeg for the rate and the channels.

    Raises
    ------
    CorruptAudio
        It finds no audio.
    """
    words = _input(part)
    words[words.index("error")] = "info"
    command = [ffmpeg, *words, "-t", "0", "-map", "0:a:0?", "-f", "null", "-"]
    process = _start(command, file, subprocess.PIPE)
    _, errors = process.communicate()
    text = errors.decode(errors="replace")
    found = _WORD.search(text)
    if found is None or found[1] == "none":
        row = BY_NAME.get(part.format)
        raise CorruptAudio(
            f"ffmpeg finds no audio in this {row.title if row else part.format}: "
            f"{_last_words(errors) or 'there is none'}"
        )
    return int(found[2]), _CHANNELS.get(found[3].strip(), 2)


def _last_words(errors: bytes) -> str:
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return re.sub(r"\[[^]]*\]\s*|0x[0-9a-f]+", "", lines[-1])[-_LAST_WORDS:] if lines else ""
