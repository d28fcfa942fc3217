"""The command line ``genrestream``.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

import signal

# Until a command takes over, Ctrl-C ends the process at once: half an import has nothing to tidy.
signal.signal(signal.SIGINT, signal.SIG_DFL)

# ruff: noqa: E402
import io
import logging
import sys
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import GenrestreamError
from services.commands.dead_letters import app as dead_letters
from services.commands.history import app as history
from services.commands.notify import app as notify
from services.commands.stations import app as stations_app
from services.commands.worker import ModelName
from services.commands.worker import app as worker
from services.console.running import run as _run

app = typer.Typer(
    name="genrestream",
    help="Live music-genre labels over Kafka: audio chunks in, genre predictions out.",
    epilog="Settings are environment variables: see genrestream settings.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich would take as long to import as all else together
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)
topics = typer.Typer(no_args_is_help=True, help="Look after the topics.")
app.add_typer(worker, name="worker")
app.add_typer(topics, name="topics")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(stations_app, name="stations")
app.add_typer(history, name="history")
app.add_typer(notify, name="notify")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, on stdout.")]


class CodecName(StrEnum):
    """Codecs of ``produce``."""

    auto = "auto"
    pcm = "pcm"
    wav = "wav"
    flac = "flac"
    ogg = "ogg"
    mp3 = "mp3"


@app.callback(invoke_without_command=True)
def root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.")
    ] = False,
) -> None:
    """Live music-genre labels over Kafka: audio chunks in, genre predictions out."""
    from importlib.metadata import version

    if show_version:
        typer.echo(version("genrestream"))
        raise typer.Exit


@app.command()
def demo(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Audio files; a synthesised clip when none.")
    ] = None,
    json_lines: Json = False,
    model: ModelName = None,
) -> None:
    """Start everything, send audio through it and print the labels that come out.

    A broker is started in memory unless KAFKA_BOOTSTRAP_SERVERS is set. Ends when every file has
    its final prediction.

    For example: genrestream demo song.mp3 other.flac
    """
    from services.commands.demo import demo as run

    _run(run(_settings(model=model), files or [], json_lines))


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="Of the embedded broker; 9092.", min=1, max=65535)
    ] = None,
    stations: Annotated[
        Path | None, typer.Option(help="A stations.yaml to listen to; others are removed.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="A file of rules: send alarms by them.")
    ] = None,
    model: ModelName = None,
) -> None:
    """Start everything and keep it running until Ctrl-C.

    A broker is started in memory unless KAFKA_BOOTSTRAP_SERVERS is set.
    """
    from services.commands.up import up as run

    _run(run(_settings(model=model, rules=rules), port, stations), ends_by_signal=True)


@topics.command("create")
def topics_create(
    partitions: Annotated[int | None, typer.Option(help="Of each topic.", min=1)] = None,
    replication_factor: Annotated[int | None, typer.Option(help="Of each topic.", min=1)] = None,
) -> None:
    """Create the topics that do not exist yet, and list all with their partitions."""
    from services.kafka.topics import create_topics

    settings = _settings(partitions=partitions, replication_factor=replication_factor)
    for name, count in _run(create_topics(settings)).items():
        typer.echo(f"{name}  {count} partitions")


@app.command()
def produce(
    sources: Annotated[
        list[str], typer.Argument(help="Audio files, folders of them, or - for standard input.")
    ],
    stream_id: Annotated[
        str | None, typer.Option(help="Key of the messages; by default the file's name.")
    ] = None,
    chunk_seconds: Annotated[
        float, typer.Option(help="Audio in one message.", min=0.01, max=20)
    ] = 3.0,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Send as fast as the music plays, all at once.")
    ] = False,
    codec: Annotated[
        CodecName, typer.Option(help="Of the messages; auto is lossless.")
    ] = CodecName.auto,
    pcm: Annotated[
        str | None,
        typer.Option(
            metavar="RATE:CHANNELS",
            help="Standard input is raw 16-bit little-endian PCM, sent as it comes.",
        ),
    ] = None,
    captured_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the file's first sample was heard, such as 2026-11-25T20:00:00+01:00; by "
            "default the time of sending.",
        ),
    ] = None,
) -> None:
    """Send audio to audio.chunks.

    For example:

    genrestream produce song.flac

    genrestream produce --realtime radio/*.mp3

    ffmpeg -i http://…/radio.mp3 -f s16le -ar 22050 -ac 1 - | genrestream produce - --pcm 22050:1
    """
    from services.commands import produce as producing

    request = producing.ProduceRequest(
        sources, stream_id, chunk_seconds, realtime, codec.value, pcm, captured_at
    )
    raise typer.Exit(_run(producing.produce(_settings(), request)))


@app.command()
def listen(
    stream_id: Annotated[
        list[str] | None, typer.Option(help="Only this stream; may be given more than once.")
    ] = None,
    json_lines: Json = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest message.")
    ] = False,
    segments: Annotated[
        bool, typer.Option("--segments", help="Only the segments: a line when a label has ended.")
    ] = False,
    tags: Annotated[
        bool, typer.Option("--tags", help="Only the tags, where GENRESTREAM_HEADS are served.")
    ] = False,
) -> None:
    """Print predictions as they arrive, until Ctrl-C: each window, and what sounds now."""
    from services.commands.listen import listen as run

    if segments and tags:
        raise typer.BadParameter("--segments and --tags are two topics: choose one")
    what: Any = "segments" if segments else "tags" if tags else "predictions"
    listening = run(_settings(), stream_id, json_lines, from_beginning, what)
    _run(listening, ends_by_signal=True)


@app.command()
def classify(
    paths: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    json_lines: Json = False,
    labels_from_dirs: Annotated[
        bool,
        typer.Option(
            "--labels-from-dirs", help="Take each file's folder as its true label; print accuracy."
        ),
    ] = False,
    model: ModelName = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes; by default one a core.", min=1)
    ] = None,
    segments: Annotated[
        bool,
        typer.Option("--segments", help="Print the parts of long files, in place of one answer."),
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The parts as CSV on stdout.")] = False,
    labels: Annotated[
        Path | None, typer.Option(help="Write the parts of a file for Audacity, too.")
    ] = None,
) -> None:
    """Label files without Kafka, by the code that the services run.

    Prints a line a file: label, confidence and all probabilities. A file that cannot be read is
    reported, and the exit code is 1 then.

    For example:

    genrestream classify --labels-from-dirs genres/

    genrestream classify --segments --labels show.txt show.mp3
    """
    from services.commands import classify as classifying

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_by_signal)
    request = classifying.ClassifyRequest(
        paths, json_lines, labels_from_dirs, jobs, as_csv=as_csv, labels=labels
    )
    if segments or as_csv or labels:
        raise typer.Exit(classifying.classify_segments(_settings(model=model), request))
    raise typer.Exit(classifying.classify(_settings(model=model), request))


@app.command()
def lag(
    json_lines: Json = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve it as /metrics on GENRESTREAM_HTTP_PORT.")
    ] = False,
    model: ModelName = None,
) -> None:
    """Print how many messages extractors and classifiers have not acknowledged, by partition.

    The broker is asked, so that it is right while workers are stopped, too. Messages that an open
    window needs are among them.
    """
    from services.commands.lag import print_lag, serve_lag

    if serve:
        _run(serve_lag(_settings(model=model)), ends_by_signal=True)
    else:
        _run(print_lag(_settings(model=model), json_lines))


@app.command()
def health() -> None:
    """Ask the worker on GENRESTREAM_HTTP_PORT of this machine whether it is ready and gets on.

    The exit code is 0 if it is, 1 if not.
    """
    from services.commands.health import main as ask

    raise typer.Exit(ask())


@app.command()
def settings(json_lines: Json = False) -> None:
    """List the settings: environment variable, value and meaning."""
    import json

    from services.settings import Settings, variable_names

    current = _settings()
    rows = [
        (variable, getattr(current, field), Settings.model_fields[field].description or "")
        for field, variable in variable_names().items()
    ]
    for variable, value, meaning in rows:
        if json_lines:
            row = {"name": variable, "value": value}
            typer.echo(json.dumps(row | {"meaning": meaning}, default=str))
        else:
            shown = ",".join(value) if isinstance(value, tuple) else value
            typer.echo(f"{variable}={'' if shown is None else shown}\n    {meaning}")


def _settings(**overrides: Any) -> Any:
    from services.settings import load_settings

    return load_settings(**overrides)


def _exit_by_signal(number: int, _: object) -> None:
    sys.exit(128 + number)


def quiet_libraries() -> None:
    """Let errors of connections reach the user as one line, ours, and as nothing else."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_no_end_of_a_connection)


def _is_no_end_of_a_connection(record: logging.LogRecord) -> bool:
    """Drop what asyncio logs of a connection that ended by an error, which was told already.

    Of one that is collected as garbage it may report that nobody asked for the error (3.11.2).
    """
    return not (record.exc_info and isinstance(record.exc_info[1], OSError))


def _load_plugins() -> None:
    """Let rooms that services may not import add their commands."""
    for plugin in entry_points(group="genrestream.commands"):
        plugin.load()(app)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a bar that ASCII has not ends no command
    quiet_libraries()
    _load_plugins()
    try:
        app()
    except (GenrestreamError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
