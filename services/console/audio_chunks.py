"""Cut audio files into messages for ``audio.chunks``, without changing a sample."""

import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from features import MIN_WINDOW_SECONDS, Recording, open_file
from features.formats.folders import files_below, is_audio
from features.formats.table import AUDIO_SUFFIXES, WRITTEN, media_type
from schemas import AudioChunk
from schemas.errors import AudioError, CorruptAudio, UnsupportedAudio
from services.settings import MAX_MESSAGE_BYTES

Codec = Literal["auto", "pcm", "wav", "flac", "ogg", "mp3"]

#: libsndfile's subtypes that FLAC keeps bit for bit, by the integers to read them as: scaled
#: floats would come back one step off.
_INTEGERS: Final = {"PCM_S8": "int16", "PCM_U8": "int16", "PCM_16": "int16", "PCM_24": "int32"}
LARGEST_RAW_BYTES: Final = MAX_MESSAGE_BYTES - 256 * 1024
_MAX_FLAC_CHANNELS: Final = 8
#: Above it libsndfile's Vorbis encoder crashes the process.
_MAX_VORBIS_RATE: Final = 200_000


#: What ``-`` stands for.
STANDARD_INPUT: Final = Path("/dev/stdin")


def audio_files(path: Path, report: Callable[[str], None] | None = None) -> list[Path]:
    """List the audio files of a folder and all below it, sorted; of a file, itself.

    Parameters
    ----------
    path
        A file, a pipe or a folder.
    report
        Is told what is left out, as `features.formats.folders.files_below` does.

    Raises
    ------
    FileNotFoundError
        There is no such file or folder, or no audio in it.
    """
    if str(path) == "-":
        return [STANDARD_INPUT]
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if not path.is_dir():
        return [path]
    files = [file for file in files_below(path, report or _say_nothing) if is_audio(file)]
    if not files:
        raise FileNotFoundError(
            f"no audio in {path}: looked for {', '.join(sorted(AUDIO_SUFFIXES))}"
        )
    return files


def _say_nothing(_: str) -> None:
    """Leave out without a word."""


def duration(path: Path) -> float:
    """Return the length of a file in seconds.

    Raises
    ------
    AudioError
        The file cannot be read; the message begins with its name.
    """
    with _open(path) as recording:
        return recording.seconds


@contextmanager
def _open(path: Path) -> Iterator[Recording]:
    try:
        with open_file(path) as recording:
            yield recording
    except AudioError as error:
        raise type(error)(f"{path}: {error}") from error
    except OSError as error:
        raise CorruptAudio(f"{path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class TimedChunk:
    """A chunk, and how much audio is in it."""

    chunk: AudioChunk
    seconds: float


def chunk_file(
    path: Path, stream_id: str, chunk_seconds: float, codec: Codec = "auto"
) -> Iterator[TimedChunk]:
    """Cut a file into chunks, numbered from 0, the last one marked final.

    A rest too short for a window of its own goes into the last chunk, so that the last full window
    and the end of the stream arrive together.

    Parameters
    ----------
    path
        An audio file.
    stream_id
        Key of the messages.
    chunk_seconds
        Length of a chunk; shorter where a message would grow too large.
    codec
        ``auto`` is lossless: FLAC for integer PCM of up to 24 bits, float PCM for anything else.

    Raises
    ------
    AudioError
        The file cannot be read, there is nothing in it, or the codec does not take it; the message
        begins with the file's name.
    """
    with _open(path) as recording:
        codec = _choose(codec, recording)
        dtype = _INTEGERS.get(recording.subtype, "float32") if codec == "flac" else "float32"
        channels, rate = recording.channels, recording.sample_rate
        frames = min(max(1, round(chunk_seconds * rate)), LARGEST_RAW_BYTES // (4 * channels))
        blocks = _with_last(recording.chunks(frames, dtype), round(MIN_WINDOW_SECONDS * rate))
        for number, (block, final) in enumerate(blocks):
            data, content_type = encode(block, rate, codec)
            chunk = AudioChunk(data, stream_id, content_type, final, number)
            yield TimedChunk(chunk, len(block) / rate)


def captured(chunks: Iterable[TimedChunk], begun_ms: float) -> Iterator[TimedChunk]:
    """Say of each chunk when its first sample was heard.

    Parameters
    ----------
    chunks
        The chunks of a stream, in order.
    begun_ms
        When the very first sample was heard, in ms since 1970.
    """
    seconds = 0.0
    for timed in chunks:
        at = round(begun_ms + 1000.0 * seconds)
        yield TimedChunk(replace(timed.chunk, captured_at=at), timed.seconds)
        seconds += timed.seconds


async def captured_live(
    chunks: AsyncIterator[TimedChunk], begun_ms: float
) -> AsyncIterator[TimedChunk]:
    """Say of each chunk when its first sample was heard, as `captured` does."""
    seconds = 0.0
    async for timed in chunks:
        at = round(begun_ms + 1000.0 * seconds)
        yield TimedChunk(replace(timed.chunk, captured_at=at), timed.seconds)
        seconds += timed.seconds


def encode(frames: NDArray[Any], sample_rate: int, codec: Codec) -> tuple[bytes, str]:
    """Encode frames [shape=(n, channels), float32, or int16 or int32 for FLAC] as one message.

    Returns
    -------
    The bytes and their content type.

    Raises
    ------
    UnsupportedAudio
        The codec does not take so many channels or this rate.
    """
    if codec == "pcm":
        parameters = f"rate={sample_rate};channels={frames.shape[1]};encoding=f32le"
        return frames.astype("<f4").tobytes(), f"audio/pcm;{parameters}"
    if codec == "ogg" and sample_rate > _MAX_VORBIS_RATE:
        raise UnsupportedAudio(
            f"Vorbis takes at most {_MAX_VORBIS_RATE} Hz, not {sample_rate}: use --codec pcm"
        )
    container, encoding = WRITTEN[codec]
    if frames.dtype == np.int16:
        encoding = "PCM_16"
    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, frames, sample_rate, format=container, subtype=encoding)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise UnsupportedAudio(
            f"{frames.shape[1]} channels at {sample_rate} Hz cannot be written as {codec}: "
            f"use --codec pcm ({error})"
        ) from error
    return buffer.getvalue(), media_type(codec)


def _choose(codec: Codec, recording: Recording) -> Codec:
    if codec != "auto":
        return codec
    exact = recording.subtype in _INTEGERS and recording.channels <= _MAX_FLAC_CHANNELS
    return "flac" if exact else "pcm"


def _with_last(
    blocks: Iterator[NDArray[Any]], shortest: int
) -> Iterator[tuple[NDArray[Any], bool]]:
    """Tell the last of blocks of one length, which takes in a rest under one window."""
    block = next(blocks)
    full = len(block)
    for following in blocks:
        fits = len(block) + len(following) <= LARGEST_RAW_BYTES // (4 * block.shape[1])
        if fits and len(following) < min(full, shortest):
            block = np.concatenate([block, following])
            continue
        yield block, False
        block = following
    yield block, True
