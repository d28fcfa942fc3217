"""Find labelled audio: a folder a genre, as GTZAN's copies and most collections have it."""

import hashlib
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.formats.folders import files_below, is_audio, printable
from training.data.tables import track_id
from training.errors import DataError

#: Folders of the public GTZAN copies that hold the genres' folders.
GTZAN_FOLDERS: Final = ("genres_original", "genres")


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A labelled recording.

    Attributes
    ----------
    path
        Where it is.
    track
        Its name in tables and splits.
    label
        Name of its folder.
    """

    path: Path
    track: str
    label: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that gives no features, and why."""

    path: Path
    reason: str


def find_audio(folder: Path) -> tuple[list[AudioFile], list[Skipped]]:
    """List the audio in ``folder/<genre>/`` or ``folder/genres[_original]/<genre>/``.

    Returns
    -------
    files
        In the order of their tracks.
    skipped
        Files that are no audio by their suffix.

    Raises
    ------
    DataError
        There is no such folder, it holds no audio, or two files have one track name.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: give a folder with one folder of audio a genre")
    root = next((folder / name for name in GTZAN_FOLDERS if (folder / name).is_dir()), folder)
    left_out: list[str] = []
    genres = [genre for genre in sorted(root.iterdir()) if genre.is_dir()]
    inside = [path for genre in genres for path in files_below(genre, left_out.append)]
    files = [_labelled(path, root) for path in inside if is_audio(path)]
    if not files:
        raise DataError(
            f"{folder} holds no audio ({len(inside)} other files): put files that are heard "
            "(docs/formats.md lists them) into one folder a genre"
        )
    _check_names(files)
    skipped = [Skipped(path, "no audio suffix") for path in inside if not is_audio(path)]
    skipped += [Skipped(folder, words) for words in left_out]
    return sorted(files, key=lambda file: file.track), skipped


def audio_below(folder: Path) -> list[AudioFile]:
    """List all audio anywhere below a folder, named by its path with suffix and without label.

    Raises
    ------
    DataError
        There is none.
    """
    found = [path for path in files_below(folder, lambda _: None) if is_audio(path)]
    if not found:
        raise DataError(f"{folder} holds no audio: docs/formats.md lists what is heard")
    names = [printable(path.relative_to(folder).as_posix()) for path in found]
    return [AudioFile(path, name, "") for path, name in zip(found, names, strict=True)]


def _labelled(path: Path, root: Path) -> AudioFile:
    relative = path.relative_to(root)
    return AudioFile(path, track_id(printable(relative.as_posix())), printable(relative.parts[0]))


def _check_names(files: list[AudioFile]) -> None:
    by_track: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_track[file.track].append(file.path)
    for track, paths in by_track.items():
        if len(paths) > 1:
            names = " and ".join(str(path) for path in paths)
            raise DataError(f"{names} are both track {track!r}: remove or rename one")


def copies(files: list[AudioFile]) -> list[tuple[str, ...]]:
    """Group the tracks whose files have the same bytes."""
    by_content: dict[bytes, list[str]] = defaultdict(list)
    for file in files:
        with suppress(OSError), file.path.open("rb") as stream:  # reported when it was extracted
            by_content[hashlib.file_digest(stream, "sha256").digest()].append(file.track)
    return [tuple(tracks) for tracks in by_content.values() if len(tracks) > 1]
