"""What long commands draw on standard error, with the results on standard output untouched.

rich sends what is written to standard output through the console that it draws on, by default. That
is right where both are one terminal, so that a line does not end up within the bar; everywhere else
the results would be lost to ``> file`` and to pipes.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def progress_bar(console: Console | None = None, *, unit: str | None = None) -> Progress:
    """Return a bar for a count of things, or for an amount of what has a unit.

    Parameters
    ----------
    console
        Where to draw it; by default on standard error.
    unit
        What is counted, such as ``s of audio``, where the total may not be known; by default the
        bar shows how many of how many are done.
    """
    amount = TextColumn(f"{{task.completed:.0f}} {unit}") if unit else MofNCompleteColumn()
    return _drawn(
        TextColumn("{task.description}"),
        BarColumn(),
        amount,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
    )


@contextmanager
def spinner(text: str, console: Console | None = None) -> Iterator[None]:
    """Show that something goes on, for the duration of a ``with`` block."""
    columns = SpinnerColumn(), TextColumn("{task.description}")
    with _drawn(*columns, console=console or Console(stderr=True), transient=True) as progress:
        progress.add_task(text)
        yield


def _drawn(*columns: ProgressColumn, console: Console, transient: bool = False) -> Progress:
    return Progress(
        *columns, console=console, transient=transient, redirect_stdout=_is_one_terminal()
    )


def _is_one_terminal() -> bool:
    """Tell whether standard output and standard error are the same terminal."""
    try:
        streams = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # closed, or in memory
        return False
    if not all(map(os.isatty, streams)):
        return False
    output, errors = map(os.fstat, streams)
    return output.st_rdev == errors.st_rdev
