"""``genrestream dead-letters``: the arguments of its commands."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.console.running import run

if TYPE_CHECKING:
    from services.dead_letters.letters import Filter, Letter
    from services.dead_letters.replaying import Selection
    from services.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Inspect what could not be processed, and send it back.",
)

Errors = Annotated[
    list[str] | None,
    typer.Option("--error", help="Only this code, such as corrupt-audio; may be given again."),
]
Services = Annotated[
    list[str] | None, typer.Option("--service", help="Only this service, such as extractor.")
]
SourceTopics = Annotated[
    list[str] | None, typer.Option("--topic", help="Only messages that came from this topic.")
]
StreamIds = Annotated[
    list[str] | None, typer.Option("--stream-id", help="Only messages with this key.")
]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only letters written since then: an age (90s, 15m, 2h, 7d) or a time by ISO 8601."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, on stdout.")]


@app.command("list")
def list_command(
    error: Errors = None,
    service: Services = None,
    topic: SourceTopics = None,
    stream_id: StreamIds = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="The newest so many; 0 for all.", min=0)] = 50,
    count: Annotated[
        bool, typer.Option("--count", help="Print counts by service and error instead.")
    ] = False,
    json_lines: Json = False,
) -> None:
    """List dead letters, the newest last.

    The first column, PARTITION:OFFSET, is what show and replay take. State tells which were sent
    back, and which are what failed again after that.

    For example:

    genrestream dead-letters list --error corrupt-audio --since 2h

    genrestream dead-letters list --count
    """
    from services.dead_letters import inspecting

    wanted = _filter([], error, service, topic, stream_id, since)
    if count:
        run(inspecting.count_letters(_settings(), wanted, json_lines))
    else:
        run(inspecting.list_letters(_settings(), wanted, limit, json_lines))


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As list shows it.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Save the message's bytes, untouched; - for standard output."
        ),
    ] = None,
    json_lines: Json = False,
) -> None:
    """Show a dead letter: origin, reason, headers and the first bytes.

    For example: genrestream dead-letters show 1:57 --output chunk.flac
    """
    from services.dead_letters import inspecting
    from services.dead_letters.letters import parse_place

    run(inspecting.show_letter(_settings(), parse_place(place), output, json_lines))


@app.command()
def replay(
    places: Annotated[
        list[str] | None, typer.Argument(metavar="PARTITION:OFFSET", help="These letters.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every letter.")] = False,
    error: Errors = None,
    service: Services = None,
    topic: SourceTopics = None,
    stream_id: StreamIds = None,
    since: Since = None,
    again: Annotated[
        bool, typer.Option("--again", help="Those that were sent back before, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_lines: Json = False,
) -> None:
    """Send dead letters back to the topic and partition that they came from.

    Key, bytes and headers are the original ones, traceparent included; the time is that of now.
    They go to the end of the partition: chunks of a stream that went on meanwhile are heard late.
    What was sent back is noted in the topic audio.dead-letter.replays and left out the next time;
    --again sends it once more. What fails again is a new dead letter.

    For example:

    genrestream dead-letters replay --error internal-error --since 1d

    genrestream dead-letters replay 1:57 1:58 --yes
    """
    from schemas.errors import SettingsError
    from services.dead_letters import replaying

    wanted = _filter(places or [], error, service, topic, stream_id, since)
    if wanted.is_open == (not everything):
        raise SettingsError(
            "say which letters to send back: their places, a filter such as --error, or --all"
            if wanted.is_open
            else "--all means every letter: leave out the places and filters, or --all"
        )
    settings = _settings()
    selection = run(replaying.select(settings, wanted, again=again))
    _explain(selection, wanted)
    if dry_run:
        _print_letters(settings, selection.letters, json_lines)
    elif selection.letters and (yes or _confirm(selection.letters)):
        _send(settings, selection.letters, json_lines)


def _send(settings: "Settings", letters: tuple["Letter", ...], json_lines: bool) -> None:
    from services.dead_letters.inspecting import replay_line
    from services.dead_letters.replaying import Replay, replay

    sent = 0

    def report(note: Replay) -> None:
        nonlocal sent
        sent += 1
        typer.echo(replay_line(note, json_lines))

    try:
        run(replay(settings, letters, report))
    finally:
        typer.echo(f"{sent} of {len(letters)} dead letters sent back", err=True)


def _explain(selection: "Selection", wanted: "Filter") -> None:
    """Say what is left out, and why."""
    from services.dead_letters.letters import NoSuchLetter

    found = {
        letter.place
        for group in (selection.letters, selection.replayed, selection.stranded, selection.cut)
        for letter in group
    }
    if missing := sorted(wanted.places - found):
        raise NoSuchLetter(f"there is no dead letter {', '.join(map(str, missing))}")
    if selection.replayed:
        typer.echo(
            f"warning: {len(selection.replayed)} left out, sent back before "
            f"({_places(selection.replayed)}): --again sends them once more",
            err=True,
        )
    if selection.stranded:
        typer.echo(
            f"warning: {len(selection.stranded)} left out, from no partition of ours "
            f"({_places(selection.stranded)}): dead-letters show --output saves their bytes",
            err=True,
        )
    if selection.cut:
        typer.echo(
            f"warning: {len(selection.cut)} left out, cut as they were too large for the topic "
            f"({_places(selection.cut)}): send what came from the place that show names",
            err=True,
        )
    if not selection.letters:
        typer.echo("no dead letters to send back", err=True)


def _places(letters: tuple["Letter", ...]) -> str:
    names = [str(letter.place) for letter in letters[:_NAMED]]
    return ", ".join(names) + (", …" if len(letters) > _NAMED else "")


_NAMED = 5


def _print_letters(settings: "Settings", letters: tuple["Letter", ...], json_lines: bool) -> None:
    from services.dead_letters.inspecting import print_letters
    from services.dead_letters.replaying import read_replays

    print_letters(letters, run(read_replays(settings)), json_lines)
    typer.echo(f"{len(letters)} dead letters would be sent back", err=True)


def _confirm(letters: tuple["Letter", ...]) -> bool:
    from collections import Counter

    from schemas.errors import SettingsError

    topics = Counter(letter.reason.place.topic for letter in letters if letter.reason)
    where = ", ".join(f"{count} to {topic}" for topic, count in sorted(topics.items()))
    if not sys.stdin.isatty():
        raise SettingsError(f"nothing was sent ({where}): without a terminal to ask, add --yes")
    agreed = typer.confirm(f"Send dead letters back: {where}?", err=True)
    if not agreed:
        typer.echo("nothing was sent", err=True)
    return agreed


def _filter(
    places: list[str],
    error: list[str] | None,
    service: list[str] | None,
    topic: list[str] | None,
    stream_id: list[str] | None,
    since: str | None,
) -> "Filter":
    from services.dead_letters.letters import Filter, parse_place, parse_since

    return Filter(
        errors=frozenset(error or ()),
        services=frozenset(service or ()),
        topics=frozenset(topic or ()),
        stream_ids=frozenset(stream_id or ()),
        since=parse_since(since, datetime.now(UTC)) if since else None,
        places=frozenset(map(parse_place, places)),
    )


def _settings() -> "Settings":
    from services.settings import load_settings

    return load_settings()
