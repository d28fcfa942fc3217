"""Bytes or a file to mono float32 samples: by dr_flac where a FLAC is sound, else part by part.

Failures are `schemas.errors.AudioError`, with the value, the limit and the remedy in the text.
"""

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np

from features.formats.audio import (
    MAX_SECONDS,
    Audio,
    Samples,
    check_samples,
    check_shape,
    downmix,
    frame_limit,
)
from features.formats.flac import HEAD_BYTES, decode_flac, stream_info
from features.formats.pcm import decode_pcm, parse_content_type, pcm_shape
from features.formats.recording import Recording, open_recording
from features.formats.table import CONTAINER_TYPES, WRITTEN, media_type
from schemas.errors import CorruptAudio, UnsupportedAudio

#: Longest file that is read whole.
MAX_FILE_SECONDS: Final = 86_400.0
_COPY_BYTES: Final = 1 << 20


def decode(
    data: bytes,
    content_type: str | None = None,
    *,
    max_seconds: float = MAX_SECONDS,
    allow_ffmpeg: bool = False,
) -> Audio:
    """Decode a message: a container of the table of formats, or raw PCM named by its content type.

    Parameters
    ----------
    data
        WAV, FLAC, Ogg, MP3 or another container, or raw PCM.
    content_type
        ``audio/L16;rate=…;channels=…`` (big-endian, RFC 3551) or
        ``audio/pcm;rate=…;channels=…;encoding=s16le|f32le`` for raw PCM; of a container it is
        checked, but the first bytes decide.
    max_seconds
        Longest audio to accept.
    allow_ffmpeg
        Whether what we do not decode ourselves is given to ffmpeg, in a process of its own.

    Raises
    ------
    UnsupportedAudio
        An unknown content type or container, or a rate or channel count out of range.
    CorruptAudio
        Nothing in it decodes, or it is empty.
    AudioTooLong
        More than `max_seconds`.
    InvalidSamples
        NaN, infinite or absurdly large samples.
    """
    if not data:
        raise CorruptAudio("the message is empty: send audio, or the header final: true")
    shape = pcm_shape(content_type)
    if shape:
        return decode_pcm(data, shape, max_seconds)
    kind, _ = parse_content_type(content_type)
    if kind and kind not in CONTAINER_TYPES:
        known = ", ".join(media_type(name) for name in WRITTEN)
        raise UnsupportedAudio(
            f"content-type {kind[:40]!r} is not supported: use {known}, audio/L16 or audio/pcm"
        )
    return _decode_container(io.BytesIO(data), max_seconds, allow_ffmpeg, of_message=True)


def read_file(path: Path, *, max_seconds: float = MAX_FILE_SECONDS) -> Audio:
    """Decode an audio file; same checks and errors as `decode`, and what ffmpeg knows besides.

    Raises
    ------
    OSError
        The file cannot be opened.
    """
    with path.open("rb") as file, _seekable(file) as source:
        return _decode_container(source, max_seconds, allow_ffmpeg=True)


@contextmanager
def open_file(path: Path, *, max_seconds: float = MAX_FILE_SECONDS) -> Iterator[Recording]:
    """Open an audio file to read it block by block.

    Raises
    ------
    AudioError
        It cannot be decoded.
    OSError
        It cannot be opened.
    """
    with (
        path.open("rb") as file,
        _seekable(file) as source,
        open_recording(source, max_seconds=max_seconds) as recording,
    ):
        yield recording


@contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    """Return a file as it is, and a copy on disk of what comes through a pipe."""
    if file.seekable():
        yield file
        return
    with _temporary_file() as copy:
        shutil.copyfileobj(file, copy, _COPY_BYTES)
        copy.seek(0)
        yield copy


def _temporary_file() -> BinaryIO:
    try:
        return cast("BinaryIO", tempfile.TemporaryFile())
    except OSError as error:
        what = "what comes through a pipe is kept in a temporary file, and no folder for it can be"
        raise OSError(f"{what} written: set TMPDIR to one, or name a file") from error


def mono_blocks(recording: Recording) -> Iterator[Samples]:
    """Yield all samples of a recording [shape=(n,)], checked."""
    return (check_samples(downmix(block)) for block in recording.blocks() if len(block))


def joined(blocks: Iterable[Samples]) -> Samples:
    """Return blocks of samples [shape=(n,) each] one after another, each copied once.

    An array that grows in its place takes no more memory than its samples; to keep all blocks until
    the last one takes twice as much.
    """
    rest = iter(blocks)
    found = next(rest, np.empty(0, np.float32))
    following = next(rest, None)
    if following is None:
        return found
    filled = len(found)
    found = found.copy()
    for block in chain([following], rest):
        if filled + len(block) > len(found):
            found.resize(filled + max(len(block), filled >> 3), refcheck=False)
        found[filled : filled + len(block)] = block
        filled += len(block)
    found.resize(filled, refcheck=False)
    return found


def _decode_container(
    file: BinaryIO, max_seconds: float, allow_ffmpeg: bool, *, of_message: bool = False
) -> Audio:
    sound = _decode_flac(file, max_seconds)
    return sound or _decode_parts(file, max_seconds, allow_ffmpeg, of_message=of_message)


def _decode_flac(file: BinaryIO, max_seconds: float) -> Audio | None:
    """Decode a FLAC that is sound and short; ``None`` for all else."""
    info = stream_info(file.read(HEAD_BYTES))
    file.seek(0)
    if info is None:
        return None
    check_shape(info.sample_rate, info.channels)
    if info.samples > frame_limit(info.sample_rate, info.channels, info.samples, max_seconds):
        return None
    frames = decode_flac(file, info)
    return None if frames is None else Audio(check_samples(downmix(frames)), info.sample_rate)


def _decode_parts(
    file: BinaryIO, max_seconds: float, allow_ffmpeg: bool, *, of_message: bool
) -> Audio:
    with open_recording(
        file, allow_ffmpeg=allow_ffmpeg, max_seconds=max_seconds, of_message=of_message
    ) as recording:
        samples = check_samples(joined(downmix(block) for block in recording.blocks()))
        missing = recording.missing_seconds
        return Audio(samples, recording.sample_rate, missing, recording.notes)
