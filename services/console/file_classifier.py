"""Classify files without Kafka, by the very functions that the services run."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from features import feature_set, read_file, split
from schemas import GenrePrediction, Origin
from schemas.errors import AudioTooShort
from services.classifier.classifier import Classifier
from services.classifier.score import Score
from services.extractor.vectors import feature_vectors


@dataclass(frozen=True, slots=True)
class FileClassifier:
    """Extracts and classifies whole files.

    Attributes
    ----------
    classifier
        Of the service.
    content
        Whether windows are told to be music, speech or other sound before they get a genre.
    """

    classifier: Classifier
    content: bool = False

    def predictions(self, path: Path) -> Iterator[GenrePrediction]:
        """Yield a prediction a window of a file.

        Raises
        ------
        AudioError
            The file does not decode, or is too short for a window.
        OSError
            The file cannot be opened.
        """
        recipe = feature_set(self.classifier.model.metadata.feature_set)
        origin = Origin(str(path), 0, 0)
        score: Score | None = None
        for window in split(read_file(path), recipe.window_seconds):
            (row,) = feature_vectors(path.stem, origin, window, [recipe], self.content)
            score, prediction = self.classifier.classify(score, row)
            yield prediction

    def classify(self, path: Path) -> GenrePrediction:
        """Return the answer for a whole file: its last prediction.

        Raises
        ------
        AudioError
            The file does not decode, or is too short for a window.
        OSError
            The file cannot be opened.
        """
        predictions = deque(self.predictions(path), maxlen=1)
        if not predictions:
            raise AudioTooShort(f"{path} is shorter than the shortest window, 1 s")
        return predictions[0]
