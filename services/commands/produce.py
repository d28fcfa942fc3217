"""``genrestream produce``: files, folders and standard input to ``audio.chunks``."""

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import Progress, TaskID

from features import check_shape
from features.formats.ffmpeg import REMEDY, ffmpeg_path
from features.formats.folders import printable
from schemas import AudioChunk, to_milliseconds
from schemas.codec import MAX_STREAM_ID_BYTES
from schemas.errors import AudioError, AudioTooShort, SettingsError, UnsupportedAudio
from services.console import piped
from services.console.audio_chunks import (
    LARGEST_RAW_BYTES,
    Codec,
    TimedChunk,
    audio_files,
    captured,
    captured_live,
    chunk_file,
    duration,
)
from services.console.scratch import temporary_folder
from services.kafka.clients import DELIVERY_SECONDS, chunk_producer, send_chunk
from services.kafka.errors import DeliveryError
from services.settings import Settings
from terminal.progress import progress_bar

_IN_FLIGHT: Final = 16
#: What is not taken for so long is worth a word.
_LONG_SECONDS: Final = 10.0
_STANDARD_INPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class ProduceRequest:
    """The arguments of ``genrestream produce``."""

    sources: Sequence[str]
    stream_id: str | None = None
    chunk_seconds: float = 3.0
    realtime: bool = False
    codec: Codec = "auto"
    pcm: str | None = None
    captured_at: str | None = None


async def produce(settings: Settings, request: ProduceRequest) -> int:
    """Send everything, and wait until it is delivered.

    Returns
    -------
    The exit code: 1 when some of several files were not sent whole; they are reported at the end.

    Raises
    ------
    GenrestreamError
        An argument or a file cannot be used, or no broker answers.
    FileNotFoundError
        There is no such file, or no audio in a folder.
    """
    if request.pcm and list(request.sources) != [_STANDARD_INPUT]:
        raise SettingsError("--pcm describes standard input: use it with the one source -")
    if request.stream_id is not None:
        check_stream_id(request.stream_id)
    begun_ms = None if request.captured_at is None else _parse_time(request.captured_at)
    live = _live_chunks(request, begun_ms)
    async with AsyncExitStack() as resources:
        producer = await resources.enter_async_context(chunk_producer(settings))
        sender = _Sender(producer, settings, request.realtime, begun_ms)
        if live is not None:
            await sender.send_live(live, in_real_time=request.realtime and not request.pcm)
            return 0
        return await sender.send_files(await _name_streams(request, resources), request)


def _live_chunks(request: ProduceRequest, begun_ms: int | None) -> AsyncIterator[TimedChunk] | None:
    """Return the chunks of a pipe as they come; ``None`` where files are sent, or kept first."""
    if request.pcm:
        return _pcm_chunks(request, begun_ms)
    if list(request.sources) != [_STANDARD_INPUT] or not piped.is_pipe():
        return None
    ffmpeg = ffmpeg_path()
    if ffmpeg is None:
        _remark(f"standard input is sent when it has ended, for there is no ffmpeg: {REMEDY}")
        return None
    stream_id = request.stream_id or "standard-input"
    chunks = piped.decoded(ffmpeg, stream_id, request.chunk_seconds, request.codec)
    if begun_ms is None and request.realtime:
        begun_ms = round(1000.0 * time.time())
    return chunks if begun_ms is None else captured_live(chunks, begun_ms)


def _remark(text: str) -> None:
    Console(stderr=True).print(text, style="yellow", markup=False, soft_wrap=True, highlight=False)


def check_stream_id(stream_id: str) -> None:
    """Refuse a stream id that no service would take as a key.

    Raises
    ------
    SettingsError
        It is empty, too long, or not UTF-8.
    """
    size = len(stream_id.encode(errors="replace"))
    if not 0 < size <= MAX_STREAM_ID_BYTES:
        raise SettingsError(
            f"--stream-id has {size} bytes of UTF-8: give it 1 to {MAX_STREAM_ID_BYTES}"
        )
    if not stream_id.isprintable():
        raise SettingsError(f"--stream-id {stream_id!r} is not printable text: choose another")


def _parse_time(text: str) -> int:
    try:
        return to_milliseconds(text)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"--captured-at {text!r}: {error}; write 2026-11-25T20:00:00Z"
        ) from error


async def _name_streams(request: ProduceRequest, resources: AsyncExitStack) -> dict[str, Path]:
    """Find the files, and give each a stream id."""
    streams: dict[str, Path] = {}
    for source in request.sources:
        if source == _STANDARD_INPUT:
            folder = resources.enter_context(temporary_folder())
            streams["standard-input"] = await asyncio.to_thread(piped.keep, folder)
            continue
        root = Path(source)
        for file in audio_files(root, _remark):
            name = file.relative_to(root).with_suffix("") if root.is_dir() else file.stem
            streams[_free_name(printable(str(name)), file, streams)] = file
    if request.stream_id:
        if len(streams) != 1:
            raise SettingsError(f"--stream-id names one stream, but there are {len(streams)} files")
        return {request.stream_id: next(iter(streams.values()))}
    if request.captured_at and len(streams) != 1:
        raise SettingsError(
            f"--captured-at says when one file begins, but there are {len(streams)}: send each "
            "with a time of its own"
        )
    return streams


def _free_name(name: str, file: Path, taken: Container[str]) -> str:
    """Return a stream id that no other file has: with its suffix or folder where need be."""
    others = (f"{name}{file.suffix}", f"{file.parent.name}/{name}", str(file))
    names = (name, *map(printable, others))
    for free in names:
        if free not in taken:
            return free
    raise SettingsError(f"{file} is named twice: name each file once")


async def _pcm_chunks(
    request: ProduceRequest, begun_ms: int | None = None
) -> AsyncIterator[TimedChunk]:
    """Cut standard input as it comes, and end the stream with an empty message.

    Parameters
    ----------
    begun_ms
        When its first sample was heard, in ms since 1970; ``None`` for as it comes.

    Raises
    ------
    AudioTooShort
        Nothing came.
    """
    rate, channels = _parse_pcm(request.pcm or "")
    stream_id = request.stream_id or "standard-input"
    frame_bytes = 2 * channels
    frames = min(round(request.chunk_seconds * rate), LARGEST_RAW_BYTES // frame_bytes)
    size = max(1, frames) * frame_bytes
    content_type = f"audio/pcm;rate={rate};channels={channels};encoding=s16le"
    numbers = count()

    def timed(data: bytes) -> TimedChunk:
        number, seconds = next(numbers), len(data) / frame_bytes / rate
        at = None
        if begun_ms is not None:
            at = round(begun_ms + 1000.0 * number * (size // frame_bytes) / rate)
        elif request.realtime:
            at = round(1000.0 * (time.time() - seconds))
        chunk = AudioChunk(data, stream_id, content_type, sequence=number, captured_at=at)
        return TimedChunk(chunk, seconds)

    waiting, is_empty = b"", True
    async for data in read_standard_input():
        waiting += data
        while len(waiting) >= size:
            chunk, waiting = waiting[:size], waiting[size:]
            is_empty = False
            yield timed(chunk)
    if rest := waiting[: len(waiting) // frame_bytes * frame_bytes]:
        yield timed(rest)
    elif is_empty:
        raise AudioTooShort(
            f"no audio came on standard input, {len(waiting)} bytes: look what the program before "
            "the pipe says"
        )
    end = AudioChunk(b"", stream_id, final=True, sequence=next(numbers))
    yield TimedChunk(end, 0.0)


async def read_standard_input() -> AsyncIterator[bytes]:
    """Yield what comes on standard input, in a way that a signal can end at any time."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue(4)

    def read() -> None:
        data = b"-"
        while data:
            data = os.read(0, 1 << 16)
            asyncio.run_coroutine_threadsafe(queue.put(data), loop).result()

    threading.Thread(target=read, daemon=True).start()
    while data := await queue.get():
        yield data


def _parse_pcm(text: str) -> tuple[int, int]:
    rate, _, channels = text.partition(":")
    numbers = [number for number in (rate, channels or "1") if re.fullmatch("[0-9]{1,6}", number)]
    if len(numbers) != 2:
        raise SettingsError(f"--pcm {text!r}: write RATE:CHANNELS, such as 22050:1")
    try:
        check_shape(int(numbers[0]), int(numbers[1]))
    except UnsupportedAudio as error:
        raise SettingsError(f"--pcm {text!r}: {error}") from error
    return int(numbers[0]), int(numbers[1])


def _durations(streams: dict[str, Path]) -> tuple[dict[str, float], list[AudioError]]:
    """Return how long the files are, and what is wrong with those that cannot be read."""
    durations: dict[str, float] = {}
    broken: list[AudioError] = []
    for name, file in streams.items():
        try:
            durations[name] = duration(file)
        except AudioError as error:
            broken.append(error)
    return durations, broken


def _report(broken: list[AudioError], files: int) -> int:
    """Say which files were not sent whole, and return the exit code.

    Raises
    ------
    AudioError
        There is one file, and it was not.
    """
    if files == 1 and broken:
        raise broken[0]
    for error in broken:
        _remark(str(error))
    if broken:
        _remark(f"{len(broken)} of {files} files were not sent whole, all others were")
    return 1 if broken else 0


class _Sender:
    """Sends chunks with a progress bar, a bounded number of them on their way."""

    def __init__(
        self, producer: Any, settings: Settings, realtime: bool, begun_ms: int | None
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._realtime = realtime
        self._begun_ms = begun_ms
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._in_flight: dict[asyncio.Future[object], float] = {}
        self._failure: BaseException | None = None
        self._warned = False

    async def send_files(self, streams: dict[str, Path], request: ProduceRequest) -> int:
        """Send files one after the other, in real time all at once; return the exit code."""
        durations, broken = _durations(streams)
        with progress_bar(unit="s of audio") as progress:
            total = sum(durations.values())
            bar = progress.add_task(f"{len(durations)} stream(s)", total=total)

            async def send(name: str) -> None:
                try:
                    await self._send_file(name, streams[name], request, progress, bar)
                except AudioError as error:
                    broken.append(error)

            if self._realtime:
                await asyncio.gather(*map(send, durations))
            else:
                for name in durations:
                    await send(name)
            await self._delivered()
        return _report(broken, len(streams))

    async def _send_file(
        self, name: str, file: Path, request: ProduceRequest, progress: Progress, bar: TaskID
    ) -> None:
        start, played, begun_ms = time.monotonic(), 0.0, self._begun_ms
        if begun_ms is None and self._realtime:
            begun_ms = round(1000.0 * time.time())
        chunks = chunk_file(file, name, request.chunk_seconds, request.codec)
        for timed in chunks if begun_ms is None else captured(chunks, begun_ms):
            played += timed.seconds
            if self._realtime:
                await asyncio.sleep(max(0.0, start + played - time.monotonic()))
            await self._send(timed.chunk)
            progress.advance(bar, timed.seconds)

    async def send_live(
        self, chunks: AsyncIterator[TimedChunk], *, in_real_time: bool = False
    ) -> None:
        """Send chunks as they come, or no faster than they play."""
        start, played = time.monotonic(), 0.0
        with progress_bar(unit="s of audio") as progress:
            bar = progress.add_task("standard input", total=None)
            try:
                async for timed in chunks:
                    played += timed.seconds
                    if in_real_time:
                        await asyncio.sleep(max(0.0, start + played - time.monotonic()))
                    await self._send(timed.chunk)
                    progress.advance(bar, timed.seconds)
            finally:
                await self._delivered()

    async def _send(self, chunk: AudioChunk) -> None:
        await self._slots.acquire()
        self._raise_failure()
        self._warn_of_waiting()
        try:
            future = await send_chunk(self._producer, self._settings, chunk)
        except KafkaError as error:
            raise DeliveryError(f"a chunk of {len(chunk.data)} bytes: {error!r}") from error
        self._in_flight[future] = time.monotonic()
        future.add_done_callback(self._note)

    def _warn_of_waiting(self) -> None:
        """Say once that the broker takes nothing; it has two minutes to come back."""
        waited = time.monotonic() - min(self._in_flight.values(), default=float("inf"))
        if waited > _LONG_SECONDS and not self._warned:
            self._warned = True
            _remark(
                f"the broker has taken nothing for {waited:.0f} s: {len(self._in_flight)} chunk(s) "
                f"wait, for {DELIVERY_SECONDS} s at most"
            )

    def _note(self, future: asyncio.Future[object]) -> None:
        del self._in_flight[future]
        self._slots.release()
        if not future.cancelled() and future.exception():
            self._failure = self._failure or future.exception()

    async def _delivered(self) -> None:
        await self._producer.flush()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure:
            raise DeliveryError(f"the broker did not take a chunk: {self._failure!r}")
