"""The files in a folder: what is left out of it is said, and any name can be shown."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from features.formats.table import AUDIO_SUFFIXES

Report = Callable[[str], None]


def is_audio(path: Path) -> bool:
    """Tell whether a file has the suffix of a format that is heard."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def files_below(folder: Path, report: Report) -> list[Path]:
    """List the files of a folder and all below it, sorted, without hidden ones.

    Parameters
    ----------
    folder
        Where to look.
    report
        Is told what is left out, in words: hidden files with the suffix of audio (those of macOS,
        ``._*``, are no audio), folders that cannot be read, links to folders, links to nothing.
    """
    inside = list(_inside(folder, report))
    hidden = [path for path in inside if _is_hidden(path, folder)]
    if count := sum(map(is_audio, hidden)):
        report(f"{count} hidden file{'s' * (count > 1)} in {folder} left out")
    return sorted(set(inside).difference(hidden))


def _inside(folder: Path, report: Report) -> Iterator[Path]:
    """Yield all files below a folder, and say what is not looked into."""

    def unreadable(error: OSError) -> None:
        report(f"{error.filename} cannot be read and is left out: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=unreadable):
        for name in folders:
            if Path(place, name).is_symlink():
                report(f"{Path(place, name)} is a link to a folder and is left out")
        for path in (Path(place, name) for name in names):
            if path.is_file():
                yield path
            elif is_audio(path):
                what = "a link to nothing" if path.is_symlink() else "no file"
                report(f"{path} is {what} and is left out")


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def printable(name: str) -> str:
    """Return the name of a file as text that can be sent and written: it may be any bytes."""
    text = name.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
