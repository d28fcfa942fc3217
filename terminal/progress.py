"""The progress bar of every long command, on standard error."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
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
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        amount,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
    )
