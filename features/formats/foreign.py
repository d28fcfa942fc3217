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
        try:
            self.samplerate, self.channels = _probe(ffmpeg, self._file, part)
        except CorruptAudio:
            self._file.close()
            raise
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
    title = _title(part)
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


def _title(part: Part) -> str:
    """Return what people call a part, with its encoding where that is not the usual one."""
    row = BY_NAME.get(part.format)
    title = row.title if row else part.format
    return f"{title} with {part.encoding}" if part.encoding else title


def _input(part: Part) -> list[str]:
    is_sure = part.demuxer and "," not in part.demuxer
    names = part.demuxer or ",".join(DEMUXERS)
    demuxer = ["-f", part.demuxer] if is_sure else ["-format_whitelist", names]
    head = ["-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-vn"]
    return [*head, "-protocol_whitelist", "file", *demuxer, "-i", "file:/dev/fd/0"]


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
        raise CorruptAudio(f"ffmpeg finds no audio in this {_title(part)}: {_why(part, errors)}")
    return int(found[2]), _CHANNELS.get(found[3].strip(), 2)


def _why(part: Part, errors: bytes) -> str:
    """Say why there is none, in words of ours where we know it."""
    words = _last_words(errors)
    if "does not contain any stream" in words:
        return "it has pictures alone, or nothing"
    if part.format == "mp4" and not _holds(part.source, b"moov"):
        return (
            "its index (moov) is missing, so that nobody can read it: the recording was never "
            "finished, or the download was cut off"
        )
    return words.removeprefix("file:/dev/fd/0: ") or "there is none"


def _holds(source: Source, wanted: bytes) -> bool:
    """Tell whether some bytes are in a file."""
    size_of(source)
    tail = b""
    while data := source.read(_COPY):
        if wanted in tail + data:
            return True
        tail = data[-len(wanted) :]
    return False


def _last_words(errors: bytes) -> str:
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return re.sub(r"\[[^]]*\]\s*|0x[0-9a-f]+", "", lines[-1])[-_LAST_WORDS:] if lines else ""
