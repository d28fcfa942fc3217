"""Audio that comes on standard input, decoded by ffmpeg as it comes and cut into chunks.

A file has an end to look at before it is heard, a pipe has none: so here ffmpeg decodes whatever
container it is, in a process of its own, and as little waits as makes a chunk.
"""

import asyncio
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np

from features.formats.table import DEMUXERS
from schemas import AudioChunk
from schemas.errors import CorruptAudio
from services.console.audio_chunks import LARGEST_RAW_BYTES, Codec, TimedChunk, encode
from terminal.processes import die_with_parent

_HEAD_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
_SAMPLE_BYTES: Final = 4
_LAST_WORDS: Final = 300
_STANDARD_INPUT: Final = 0


class _Shape(NamedTuple):
    """Rate in Hz and number of channels of what ffmpeg writes."""

    sample_rate: int
    channels: int


def is_pipe() -> bool:
    """Tell whether standard input is something that has no end yet: no file."""
    return not stat.S_ISREG(os.fstat(_STANDARD_INPUT).st_mode)


def keep(folder: Path) -> Path:
    """Write standard input to a file, to its end, whatever its size."""
    path = folder / "standard-input"
    with path.open("wb") as file, os.fdopen(os.dup(_STANDARD_INPUT), "rb") as source:
        shutil.copyfileobj(source, file)
    return path


async def decoded(
    ffmpeg: str, stream_id: str, chunk_seconds: float, codec: Codec
) -> AsyncIterator[TimedChunk]:
    """Yield standard input in chunks as it comes, and an empty last one.

    Parameters
    ----------
    ffmpeg
        Its path.
    stream_id
        Key of the messages.
    chunk_seconds
        Length of a chunk; shorter where a message would grow too large.
    codec
        Of the messages; ``auto`` is float PCM, which changes no sample.

    Raises
    ------
    CorruptAudio
        ffmpeg finds no audio in it, or stops with an error: what came before is sent.
    """
    numbers = count()
    with _running(ffmpeg) as process:
        assert process.stdout
        shape = await asyncio.to_thread(_read_head, process.stdout)
        if shape is None:
            raise _failure(await asyncio.to_thread(_complaint, process), "finds no audio")
        frame_bytes = _SAMPLE_BYTES * shape.channels
        frames = min(round(chunk_seconds * shape.sample_rate), LARGEST_RAW_BYTES // frame_bytes)
        size = max(1, frames) * frame_bytes
        while data := await asyncio.to_thread(process.stdout.read, size):
            whole = data[: len(data) // frame_bytes * frame_bytes]
            block = np.frombuffer(whole, "<f4").reshape(-1, shape.channels)
            sent, content_type = encode(
                block, shape.sample_rate, "pcm" if codec == "auto" else codec
            )
            chunk = AudioChunk(sent, stream_id, content_type, sequence=next(numbers))
            yield TimedChunk(chunk, len(block) / shape.sample_rate)
        yield TimedChunk(AudioChunk(b"", stream_id, final=True, sequence=next(numbers)), 0.0)
        complaint = await asyncio.to_thread(_complaint, process)
        if process.returncode or complaint:
            raise _failure(complaint, "stops")


@contextmanager
def _running(ffmpeg: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ffmpeg on standard input; it ends with the block."""
    command = [
        *(ffmpeg, "-hide_banner", "-v", "error", "-threads", "1", "-vn"),
        *("-protocol_whitelist", "pipe", "-format_whitelist", ",".join(DEMUXERS)),
        *("-i", "pipe:0", "-map", "0:a:0", "-c:a", "pcm_f32le", "-flush_packets", "1"),
        *("-f", "wav", "pipe:1"),
    ]
    process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        command,
        stdin=_STANDARD_INPUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours to handle
        preexec_fn=die_with_parent,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def _read_head(output: IO[bytes]) -> _Shape | None:
    """Read the head of a WAV up to its audio; ``None`` where there is none."""
    if len(output.read(_HEAD_BYTES)) < _HEAD_BYTES:
        return None
    shape = None
    while len(head := output.read(_CHUNK_BYTES)) == _CHUNK_BYTES:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            return shape
        content = output.read(size + (size & 1))
        if name == b"fmt ":
            _, channels, sample_rate = struct.unpack_from("<HHI", content)
            shape = _Shape(sample_rate, channels)
    return None


def _complaint(process: subprocess.Popen[bytes]) -> str:
    """Return ffmpeg's last words, once it is at its end."""
    assert process.stderr
    lines = process.stderr.read().decode(errors="replace").split("\n")
    process.wait()
    return next((line for line in reversed(lines) if line.strip()), "")[-_LAST_WORDS:]


def _failure(complaint: str, what: str) -> CorruptAudio:
    reason = complaint.strip().removeprefix("pipe:0: ") or "it is empty"
    return CorruptAudio(f"standard input: ffmpeg {what}: {reason}")
