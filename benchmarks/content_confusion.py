"""Count what clips of your own are called: ``python -m benchmarks.content_confusion CLIPS``.

``CLIPS`` has ``speech/``, ``environment/`` and ``music/``, with a folder a source in each. Every
clip is heard as ``genrestream classify`` hears it, with content before genre; then speech is laid
over music at some ratios, each source as likely as another, and heard likewise. ``--model`` takes
another head, ``--list`` names the clips of speech and environment that get a genre, and the music
that does not.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import report
from benchmarks.signals import encode, integers
from features import Samples, read_file, resample
from schemas import GENRES, GenrePrediction
from services.classifier.content import MUSIC_FROM, SPEECH_FROM
from services.commands.classify import create_file_classifier
from services.console.file_classifier import FileClassifier
from services.settings import load_settings
from training.data.audio_folders import audio_below
from training.data.content_clips import CLIP, SAMPLE_RATE, SPEECH_OVER_MUSIC, WINDOW, lay_over

REPORT: Final = report.FOLDER / "content_confusion.json"
KINDS: Final = ("speech", "environment", "music")
#: Mixtures of each ratio.
MIXTURES: Final = 60
#: From this confidence on a listener would take a genre for sure.
SURE: Final = 0.5
#: A window of a mixture counts as both from this share of frames with a voice on.
_VOICE_FROM: Final = 0.35


@dataclass
class Count:
    """What became of the clips of one kind, and of their windows.

    Attributes
    ----------
    clips, genre, sure
        Clips; with a genre; with a genre and a confidence of `SURE`.
    windows, window_genre, both
        Windows; with a genre; said to hold music and speech.
    named
        Clips with the label that they got.
    """

    clips: int = 0
    genre: int = 0
    sure: int = 0
    windows: int = 0
    window_genre: int = 0
    both: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, answers: Sequence[GenrePrediction], voiced: Sequence[bool]) -> None:
        """Count a clip; of its windows those where ``voiced`` says so [length of the answers]."""
        last = answers[-1]
        has_genre = last.label in GENRES
        self.clips += 1
        self.genre += has_genre
        self.sure += has_genre and last.confidence >= SURE
        self.named.append((name, last.label))
        for answer in (a for a, counts in zip(answers, voiced, strict=True) if counts):
            content = answer.content
            self.windows += 1
            self.window_genre += answer.window is not None and answer.window.label in GENRES
            self.both += (
                content is not None
                and content.music >= MUSIC_FROM
                and content.speech >= SPEECH_FROM
            )

    @property
    def row(self) -> tuple[str, ...]:
        """The figures of the table."""
        clips, windows = max(1, self.clips), max(1, self.windows)
        return (
            str(self.clips),
            f"{self.genre / clips:.1%}",
            f"{self.sure / clips:.1%}",
            str(self.windows),
            f"{self.window_genre / windows:.1%}",
            f"{self.both / windows:.1%}",
        )


def count_clips(classifier: FileClassifier, folder: Path) -> Count:
    """Hear all clips below a folder."""
    count = Count()
    for file in audio_below(folder):
        answers = list(classifier.predictions(file.path))
        count.add(file.track, answers, [True] * len(answers))
    return count


def count_mixtures(classifier: FileClassifier, clips: Path, ratio: int, number: int) -> Count:
    """Hear so many clips of speech over music, at a ratio in dB; pauses count as no window."""
    random = np.random.default_rng(ratio + 100)
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixture.wav"
        pairs = zip(
            _drawn(clips / "speech", number, random),
            _drawn(clips / "music", number, random),
            strict=True,
        )
        for upper, lower in pairs:
            mixed, voiced = lay_over(_read(upper), _read(lower), ratio, random)
            path.write_bytes(encode(integers(mixed), SAMPLE_RATE))
            answers = list(classifier.predictions(path))
            shares = [float(part.mean()) for part in np.array_split(voiced, len(answers))]
            voices = [share > _VOICE_FROM for share in shares]
            count.add(f"{upper.stem} over {lower.stem}", answers, voices)
    return count


def _drawn(folder: Path, number: int, random: np.random.Generator) -> Iterator[Path]:
    """Draw files of a window and more, each source as likely as another."""
    by_source: dict[Path, list[Path]] = {}
    for file in audio_below(folder):
        if len(_read(file.path)) >= WINDOW:
            by_source.setdefault(file.path.parent, []).append(file.path)
    sources = sorted(by_source)
    for _ in range(number):
        files = by_source[sources[random.integers(len(sources))]]
        yield files[random.integers(len(files))]


def _read(path: Path) -> Samples:
    return resample(read_file(path), SAMPLE_RATE)[:CLIP]


def main() -> None:
    """Hear all clips, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", default=None)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    before = report.machine()
    classifier = create_file_classifier(load_settings(model=arguments.model))
    counts = {
        kind: count_clips(classifier, arguments.clips / kind)
        for kind in KINDS
        if (arguments.clips / kind).is_dir()
    }
    for ratio in SPEECH_OVER_MUSIC:
        name = f"speech{ratio:+d} over music"
        counts[name] = count_mixtures(classifier, arguments.clips, ratio, MIXTURES)
    columns = ("", "clips", "a genre", "sure", "windows", "a genre", "both")
    report.show("What clips are called", columns, [(n, *c.row) for n, c in counts.items()])
    report.write(REPORT, before, {name: count.row for name, count in counts.items()})
    if arguments.list:
        for kind in KINDS:
            wrong = [
                f"{kind}: {name}: {label}"
                for name, label in counts.get(kind, Count()).named
                if (label in GENRES) != (kind == "music")
            ]
            print("\n".join(wrong))  # noqa: T201


if __name__ == "__main__":
    main()
