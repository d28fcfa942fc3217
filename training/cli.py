"""Command lines of the training room, added to ``genrestream`` by an entry point."""

import typer


def register(app: typer.Typer) -> None:
    """Add the training commands to the command line."""
