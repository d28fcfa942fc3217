"""The demo: files in, their genre labels out, through a broker and both services."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import soundfile
from rich.console import Console

from features.formats.folders import printable
from schemas import GenrePrediction, decode_event, header
from schemas.errors import GenrestreamError
from services.console.audio_chunks import audio_files, chunk_file
from services.console.display import print_json, print_prediction
from services.console.scratch import temporary_folder
from services.console.stack import Stack, running_stack
from services.console.synthesis import SAMPLE_RATE, synthesise_clip
from services.kafka.clients import TopicReader, chunk_producer, send_chunk
from services.kafka.topics import Topics
from services.settings import Settings
from terminal.progress import spinner

#: So long without any prediction, and the demo gives up; a cold start compiles for half a minute.
_PATIENCE_SECONDS = 180.0


class DemoFailed(GenrestreamError):
    """Not every stream came to its final prediction."""

    code = "demo-failed"


@dataclass(frozen=True, slots=True)
class DemoOutput:
    """What the demo calls with each prediction and its JSON, and with each dead letter."""

    prediction: Callable[[GenrePrediction, bytes], None]
    dead_letter: Callable[[str, str], None]


def name_streams(files: Sequence[Path]) -> dict[str, Path]:
    """Give each file a stream id: its name, numbered where two files have the same."""
    streams: dict[str, Path] = {}
    for file in files:
        stem, number = printable(file.stem), 2
        name = stem
        while name in streams:
            name, number = f"{stem}-{number}", number + 1
        streams[name] = file
    return streams


def write_clip(folder: Path) -> Path:
    """Write the synthesised clip to a folder."""
    path = folder / "synthesised-clip.flac"
    soundfile.write(path, synthesise_clip(), SAMPLE_RATE, subtype="PCM_16")
    return path


async def run_demo(settings: Settings, files: Sequence[Path], output: DemoOutput) -> None:
    """Run the system until every file has its final prediction.

    Raises
    ------
    DemoFailed
        A file was refused, or no prediction came for a long time.
    GenrestreamError
        The system did not start, or a file cannot be read.
    """
    async with running_stack(settings, log_level="ERROR") as stack:
        await stack.while_running(_process(stack, name_streams(files), output))


async def _process(stack: Stack, streams: dict[str, Path], output: DemoOutput) -> None:
    topics = Topics(stack.settings.topic_prefix)
    reader = TopicReader(stack.settings, [topics.predictions, topics.dead_letters])
    await reader.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read(reader, topics, set(streams), output))
            tasks.create_task(_produce(stack.settings, streams))
        refused = reading.result()
    except* GenrestreamError as group:
        raise group.exceptions[0] from None
    finally:
        await reader.stop()
    if refused:
        raise DemoFailed(f"no label for {', '.join(sorted(refused))}: the reasons are above")


async def _produce(settings: Settings, streams: dict[str, Path]) -> None:
    async with chunk_producer(settings) as producer:
        for stream_id, file in streams.items():
            for timed in chunk_file(file, stream_id, chunk_seconds=3.0):
                await (await send_chunk(producer, settings, timed.chunk))


async def _read(
    reader: TopicReader, topics: Topics, open_streams: set[str], output: DemoOutput
) -> set[str]:
    """Read until every stream ended; return those of which a chunk was refused."""
    refused: set[str] = set()
    messages = reader.messages()
    while open_streams - refused:
        try:
            message = await asyncio.wait_for(anext(messages), _PATIENCE_SECONDS)
        except TimeoutError as error:
            raise DemoFailed(
                f"no prediction for {_PATIENCE_SECONDS:g} s, {len(open_streams)} stream(s) open: "
                "look for the cause with genrestream up"
            ) from error
        stream_id = (message.key or b"").decode(errors="replace")
        if stream_id not in open_streams:
            continue
        if message.topic == topics.dead_letters:
            refused.add(stream_id)
            output.dead_letter(stream_id, header(message.headers, "dead_letter_message") or "")
            continue
        prediction = decode_event(message.value, GenrePrediction)
        output.prediction(prediction, message.value)
        if prediction.final:
            open_streams.discard(stream_id)
    return refused


async def demo(settings: Settings, files: Sequence[Path], json_lines: bool) -> None:
    """Run the demo and print its predictions on stdout, everything else on stderr."""
    stdout, stderr = Console(), Console(stderr=True)

    def show(prediction: GenrePrediction, data: bytes) -> None:
        if json_lines:
            print_json(data)
        else:
            print_prediction(stdout, prediction)

    def show_refusal(stream_id: str, reason: str) -> None:
        stderr.print(f"{stream_id}: refused: {reason}", style="red", markup=False, soft_wrap=True)

    files = [file for path in files for file in audio_files(path)]
    with temporary_folder() if not files else nullcontext() as folder:
        if folder:
            files = [write_clip(folder)]
            stderr.print("no file given: a synthesised clip of 12 s is sent", style="dim")
        with spinner("starting the broker and the services", stderr):
            await run_demo(settings, files, DemoOutput(show, show_refusal))
