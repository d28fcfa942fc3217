"""Trying an address: what it plays, or why not."""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Final

import typer

from schemas import AudioChunk, GenrePrediction, Station, StationEvent
from services.receiver.addresses import check_address, without_secrets
from services.receiver.reasons import reason
from services.receiver.receiver import Receiver
from services.receiver.sources import Found
from services.settings import Settings

_EXIT_NOT_HEARD: Final = 1


@dataclass
class _Notes:
    """What was noted while listening."""

    found: Found = field(default_factory=Found)
    chunks: list[AudioChunk] = field(default_factory=list)
    failure: str | None = None
    title: str | None = None

    def chunk(self, chunk: AudioChunk) -> None:
        """Keep a chunk."""
        self.chunks.append(chunk)

    def event(self, event: StationEvent) -> None:
        """Note titles and failures."""
        self.title = event.title or self.title
        if event.kind in ("lost", "refused"):
            self.failure = event.message

    def observed(self, receiver: Receiver) -> None:
        """Note what is known of the source."""
        if receiver.source:
            self.found = receiver.source.found


async def check_station(settings: Settings, url: str, seconds: float) -> int:
    """Listen to an address and print what was found; return the exit code."""
    try:
        check_address(url, local=True)
    except ValueError as error:
        typer.echo(str(reason("bad-url", str(error))), err=True)
        return _EXIT_NOT_HEARD
    notes = _Notes()
    receiver = Receiver(Station(id="check", name="check", url=url), notes, local=True)
    task = asyncio.create_task(receiver.run())
    deadline = asyncio.get_running_loop().time() + seconds
    while not notes.failure and asyncio.get_running_loop().time() < deadline and not task.done():
        await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not receiver.figures.audio_seconds:
        typer.echo(notes.failure or str(reason("no-audio", f"within {seconds:g} s")), err=True)
        return _EXIT_NOT_HEARD
    _print(url, notes, receiver)
    label = await asyncio.to_thread(_first_label, settings, notes.chunks)
    typer.echo(f"label      {label}")
    return 0


def _print(url: str, notes: _Notes, receiver: Receiver) -> None:
    found = notes.found
    lines = {
        "address": " -> ".join([*found.hops, without_secrets(url)][:9]),
        "server": found.server,
        "container": found.container,
        "bit rate": f"{found.bit_rate} kbit/s" if found.bit_rate else "",
        "sound": found.sound,
        "name": found.name,
        "title": notes.title,
        "level": f"{receiver.figures.level_dbfs:.1f} dBFS",
        "heard": f"{receiver.figures.audio_seconds:.1f} s",
    }
    for name, value in lines.items():
        if value:
            typer.echo(f"{name:10} {value}")


def _in_words(prediction: GenrePrediction) -> str:
    return f"{prediction.label} ({prediction.confidence:.0%})"


def _first_label(settings: Settings, chunks: list[AudioChunk]) -> str:
    """Classify the first chunk that is long enough."""
    import tempfile
    from pathlib import Path

    from schemas.errors import GenrestreamError
    from services.classifier.classifier import Classifier
    from services.classifier.model import load_model
    from services.console.file_classifier import FileClassifier

    try:
        model = load_model(settings.model_path)
        content = settings.wants_content([model.metadata.feature_set])
        classifier = FileClassifier(
            Classifier(model, settings.silence_dbfs, settings.unknown_below), content
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "heard.flac"
            path.write_bytes(chunks[0].data)
            return _in_words(classifier.classify(path))
    except (GenrestreamError, IndexError) as error:
        print(f"no label: {error}", file=sys.stderr)  # noqa: T201
        return "none"
