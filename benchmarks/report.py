"""What every benchmark has in common: the machine it ran on, and a file for its figures."""

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

FOLDER: Final = Path("reports") / "benchmarks"
#: Of a table that goes to a file.
_WIDTH: Final = 120
_PACKAGES: Final = ("numpy", "scipy", "numba", "librosa", "onnxruntime", "faust-streaming")


def machine() -> dict[str, str | float]:
    """Describe what was measured on; a load above 0 before a run means that it is not quiet."""
    facts: dict[str, str | float] = {
        "python": platform.python_version(),
        "processors": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
    }
    return facts | {name: version(name) for name in _PACKAGES}


def write(path: Path, before: dict[str, str | float], figures: Any) -> None:
    """Write figures and the machine that they are of as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": before, "figures": figures}, indent=2) + "\n")


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are figures."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table)
