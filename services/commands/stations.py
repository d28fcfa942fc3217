"""``genrestream stations``: what receivers listen to."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.console.running import run

if TYPE_CHECKING:
    from services.settings import Settings

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Say which stations to listen to."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, on stdout.")]


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="stations.yaml")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove the stations that are not in the file.")
    ] = False,
) -> None:
    """Listen to the stations of a file; those that changed are connected anew.

    For example: genrestream stations apply stations.yaml
    """
    from services.console import station_list
    from services.receiver.stations_file import read_stations

    stations = read_stations(file)
    removed = run(station_list.apply(_settings(), stations, prune=prune))
    typer.echo(f"{len(stations)} stations applied" + (f", {removed} removed" if removed else ""))


@app.command("list")
def list_command(json_lines: Json = False) -> None:
    """List the stations, without the secrets of their addresses."""
    from services.console import station_list

    run(station_list.print_stations(_settings(), json_lines))


@app.command()
def remove(station_ids: Annotated[list[str], typer.Argument(metavar="ID")]) -> None:
    """Listen no longer to these stations."""
    from services.console import station_list

    run(station_list.remove(_settings(), station_ids))


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="An OPML, m3u or pls file.")],
) -> None:
    """Print the stations of a list as a stations.yaml, to look through and apply.

    For example: genrestream stations import favourites.opml > stations.yaml
    """
    from schemas.errors import SettingsError
    from services.receiver.stations_file import import_stations, write_stations

    try:
        data = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error
    typer.echo(write_stations(import_stations(data, str(file))), nl=False)


@app.command()
def check(
    url: Annotated[str, typer.Argument(help="Address of a station.")],
    seconds: Annotated[float, typer.Option(help="For how long to listen.", min=4, max=600)] = 15.0,
) -> None:
    """Connect, listen for 15 s and print what was found, or why not; exit with 1 then.

    For example: genrestream stations check https://radio.example/live
    """
    from services.console.station_check import check_station

    sys.exit(run(check_station(_settings(), url, seconds)))


def _settings() -> "Settings":
    from services.settings import load_settings

    return load_settings()
