"""The parts of a file, as people and programs read them: a table, JSON, CSV, Audacity's labels."""

import csv
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from schemas import GenreSegment
from services.console.display import bar, clock

#: What programs get of a segment; the rest is about Kafka.
_FIELDS: Final = (
    "start_seconds",
    "end_seconds",
    "seconds",
    "heard_seconds",
    "label",
    "confidence",
    "windows",
    "final",
    "probabilities",
    "shares",
)
_COLUMNS: Final = ("file", "start_seconds", "end_seconds", "label", "confidence", "windows")


class PartWriter(ABC):
    """Writes segments as they come, so that a long file needs no more memory than a short one."""

    def __init__(self, output: TextIO) -> None:
        self.output = output

    def begin(self, path: Path) -> None:  # noqa: B027 - most have no head
        """Begin a file."""

    @abstractmethod
    def write(self, path: Path, segment: GenreSegment) -> None:
        """Write a segment of it."""

    def line(self, text: str) -> None:
        """Write a line at once."""
        self.output.write(text + "\n")
        self.output.flush()


class TableWriter(PartWriter):
    """For people."""

    def begin(self, path: Path) -> None:
        """Write the head of a table."""
        self.line(f"{path}\n{'from':>8}  {'to':>8}  {'length':>8}  {'label':<11}sure")

    def write(self, path: Path, segment: GenreSegment) -> None:  # noqa: ARG002 - said in its head
        """Write a row."""
        span = f"{clock(segment.start_seconds):>8}  {clock(segment.end_seconds):>8}"
        length = clock(segment.end_seconds - segment.start_seconds)
        sure = f"{segment.confidence:4.0%} {bar(segment.confidence)}".rstrip()
        self.line(f"{span}  {length:>8}  {segment.label:<11}{sure}")


class JsonWriter(PartWriter):
    """An object a line."""

    def write(self, path: Path, segment: GenreSegment) -> None:
        """Write an object."""
        fields = msgspec.to_builtins(segment)
        chosen: dict[str, Any] = {"file": str(path)} | {name: fields[name] for name in _FIELDS}
        self.line(msgspec.json.encode(chosen | {"model": segment.model.name}).decode())


class CsvWriter(PartWriter):
    """RFC 4180, with a head."""

    def __init__(self, output: TextIO) -> None:
        super().__init__(output)
        self._rows = csv.writer(output, lineterminator="\n")
        self._rows.writerow(_COLUMNS)

    def write(self, path: Path, segment: GenreSegment) -> None:
        """Write a row."""
        values = (getattr(segment, name) for name in _COLUMNS[1:-2])
        self._rows.writerow([path, *values, round(segment.confidence, 4), segment.windows])
        self.output.flush()


class LabelWriter(PartWriter):
    """Audacity's label track: begin and end in seconds and the text, with tabs."""

    def write(self, path: Path, segment: GenreSegment) -> None:  # noqa: ARG002 - it is of one file
        """Write a label."""
        self.line(f"{segment.start_seconds:.6f}\t{segment.end_seconds:.6f}\t{segment.label}")


def part_writer(*, json_lines: bool = False, as_csv: bool = False) -> PartWriter:
    """Return what writes to standard output."""
    if as_csv:
        return CsvWriter(sys.stdout)
    return JsonWriter(sys.stdout) if json_lines else TableWriter(sys.stdout)
