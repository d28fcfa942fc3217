"""``genrestream history``: what the recorder's database says, for people and programs."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class _Group(TyperGroup):
    """Takes a station where no command is named: ``radio-1`` is ``show radio-1``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="Show what stations played: genrestream history STATION [OPTIONS]. Written by the "
    "recorder; GENRESTREAM_DATABASE_URL names its database.",
)


class Share(StrEnum):
    """What the shares are of."""

    label = "label"
    content = "content"


class TableName(StrEnum):
    """Tables that can be exported."""

    minutes = "minutes"
    hours = "hours"
    segments = "segments"
    station_events = "station_events"


From = Annotated[
    str,
    typer.Option(
        "--from",
        help="2026-11-25T08:00 by the station's clock, with a zone, a date, today, yesterday, or "
        "an age: 24h.",
    ),
]
To = Annotated[str, typer.Option("--to", help="The same; the end is not part of it.")]


@app.command()
def init() -> None:
    """Create the tables, or bring those of an older release up to date."""
    from services.recorder import history_access

    typer.echo(history_access.initialise(_settings()))


@app.command()
def show(
    station: Annotated[str, typer.Argument(help="Id of a station, or of any stream.")],
    begin: From = "24h",
    end: To = "now",
    step: Annotated[str, typer.Option(help="1m, 15m, 1h, 1d (by the station's clock).")] = "1h",
    by: Annotated[Share, typer.Option(help="What the shares are of.")] = Share.label,
    model: Annotated[str | None, typer.Option(help="Whose answers; by default any.")] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="An object a line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="A line a step, a column a share.")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write this file.")] = None,
) -> None:
    """Print the shares of labels, or of kinds of sound, step by step.

    For example: genrestream history radio-1 --from yesterday --to today --step 1h --by content
    """
    from services.recorder import history_access

    request = history_access.Request(station, begin, end, step, by.value, model)
    with history_access.steps(_settings(), request) as (at, found):
        if json_lines:
            history_access.write_json(sys.stdout, found, at)
        elif parquet:
            history_access.write_parquet(parquet, history_access.wide(found, at))
        elif csv:
            history_access.write_csv(sys.stdout, history_access.wide(found, at))
        else:
            history_access.print_table(station, found, at)


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="A file: .csv, .jsonl or .parquet.")],
    table: Annotated[TableName, typer.Option(help="Which.")] = TableName.minutes,
    station: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    begin: From = "24h",
    end: To = "now",
) -> None:
    """Write the rows of a table into a file. Local times are UTC here.

    For example: genrestream history export november.parquet --table segments --from 2026-11-01
    """
    from services.recorder import history_access

    count = history_access.export(_settings(), table.value, station, begin, end, output)
    typer.echo(f"{count} rows in {output}", err=True)


@app.command()
def report(
    station: Annotated[str, typer.Argument(help="Id of a station, or of any stream.")],
    day: Annotated[str, typer.Option(help="2026-11-25, today or yesterday.")] = "yesterday",
    output: Annotated[
        Path | None, typer.Option(help="By default STATION-DAY.html in this folder; - is stdout.")
    ] = None,
) -> None:
    """Write a page about a day: strip, shares, silences, segments with titles."""
    from services.recorder import history_access

    date, page = history_access.day_report(_settings(), station, day)
    if output == Path("-"):
        typer.echo(page)
        return
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in station)[:100].lstrip(".")
    path = output or Path(f"{safe or 'station'}-{date}.html")
    path.write_text(page, encoding="utf-8")
    typer.echo(path)


def _settings() -> Any:
    from services.settings import load_settings

    try:
        import alembic  # noqa: F401 - is the extra there?
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        from schemas.errors import SettingsError

        raise SettingsError("history needs more: pip install 'genrestream[history]'") from error
    return load_settings()
