"""Classify files without Kafka, by the very functions that the services run."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from features import feature_set, mono_blocks, open_file, split_blocks
from schemas import FeatureVector, GenrePrediction, GenreSegment, Place
from schemas.errors import AudioTooShort
from services.classifier.classifier import Answer, Classifier
from services.classifier.score import Score
from services.extractor.vectors import feature_vectors, told


@dataclass(frozen=True, slots=True)
class FileClassifier:
    """Extracts and classifies whole files.

    Attributes
    ----------
    classifier
        Of the service.
    content
        Whether windows are told to be music, speech or other sound before they get a genre.
    content_every
        One window in so many is heard for that.
    """

    classifier: Classifier
    content: bool = False
    content_every: int = 1

    def answers(self, path: Path, notes: list[str] | None = None) -> Iterator[Answer]:
        """Yield an answer a window of a file, the last one final; note what is left out.

        Raises
        ------
        AudioError
            The file does not decode, or is too short for a window.
        OSError
            The file cannot be opened.
        """
        score: Score | None = None
        for row in self._vectors(path, notes):
            answer = self.classifier.answer(score, row)
            score = answer.score
            yield answer
        if score is None:
            raise AudioTooShort(f"{path} is shorter than the shortest window, 1 s")

    def predictions(self, path: Path) -> Iterator[GenrePrediction]:
        """Yield a prediction a window of a file; raises as `answers` does."""
        return (answer.prediction for answer in self.answers(path))

    def segments(self, path: Path) -> Iterator[GenreSegment]:
        """Yield the parts of a file as they end; raises as `answers` does."""
        return (segment for answer in self.answers(path) for segment in answer.segments)

    def _vectors(self, path: Path, notes: list[str] | None) -> Iterator[FeatureVector]:
        """Yield the vectors of a file, one window behind, for the last one is marked final."""
        recipe = feature_set(self.classifier.model.metadata.feature_set)
        origin = Place(str(path), 0, 0)
        before: FeatureVector | None = None
        with open_file(path) as sound:
            blocks = mono_blocks(sound)
            for window in split_blocks(blocks, sound.sample_rate, recipe.window_seconds):
                if before:
                    yield before
                (before,) = feature_vectors(
                    path.stem,
                    origin,
                    window,
                    [recipe],
                    self.content,
                    told(window.index, before.content if before else None, self.content_every),
                )
            if notes is not None:
                notes += sound.notes
        if before:
            yield msgspec.structs.replace(before, final=True)

    def hear(self, path: Path) -> tuple[Answer, tuple[str, ...]]:
        """Return the answer for a whole file, and what of it was left out; raises as `answers`."""
        notes: list[str] = []
        (last,) = deque(self.answers(path, notes), maxlen=1)
        return last, tuple(notes)

    def classify(self, path: Path) -> GenrePrediction:
        """Return the answer for a whole file: its last prediction; raises as `answers` does."""
        return deque(self.predictions(path), maxlen=1)[0]
