"""The classifier's core: JSON of feature vectors to predictions."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from features import feature_set
from schemas import FeatureVector, GenrePrediction, decode_event, keyless_stream_id
from schemas.errors import InputError, MessageError
from services.classifier.model import Model
from services.classifier.score import Score, add, answer_window, is_done, predict
from services.runtime.records import DeadLetter, Record, Step
from services.runtime.table import Progress

ClassifierStep = Step[Score, Score, GenrePrediction]

#: How long the score of a stream is kept, so that repeated windows of it are recognised.
SCORE_SECONDS: Final = 3600.0
_MAX_ID_LENGTH: Final = 8192


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model and the level of silence: all that the answers depend on."""

    model: Model
    silence_dbfs: float = -60.0

    service: str = "classifier"
    saved_type: type[Score] = Score
    idle_timeout_seconds: float | None = None

    def stream_id(self, record: Record) -> str:
        """Return the key of a message, or its place when it has none that is text."""
        try:
            return (record.key or b"").decode() or keyless_stream_id(record.place)
        except UnicodeDecodeError:
            return keyless_stream_id(record.place)

    def resume(self, stream_id: str, saved: Score) -> Score:  # noqa: ARG002 - asked for by Core
        """Return the score: all of it is saved."""
        return saved

    def advance(self, state: Score | None, record: Record) -> list[ClassifierStep]:
        """Take in a message; one that cannot be processed is a dead letter in its step."""
        offset = record.place.offset
        try:
            vector = self._read(record)
        except InputError as error:
            letter = DeadLetter(record, error)
            return [Step(state, dead_letters=(letter,), released=(offset,))]
        if vector is None or is_done(state, vector):
            return [Step(state, released=(offset,))]
        score, prediction = self.classify(state, vector)
        state = None if score.ended else score  # an ended one is in the table, for repetitions
        return [Step(state, (prediction,), (), (offset,), score, record.timestamp_ms)]

    def classify(self, score: Score | None, vector: FeatureVector) -> tuple[Score, GenrePrediction]:
        """Add a window to the score of its stream and make the prediction."""
        model = self.model
        probabilities: list[float] = []
        if vector.values:
            rows = np.array([vector.values], np.float32)
            probabilities = model.probabilities(rows)[0].tolist()
        answer = answer_window(vector, probabilities, model.labels, self.silence_dbfs)
        score = add(score, vector, answer, model.labels)
        return score, predict(score, vector, answer, model.labels, model.reference)

    def close(self, state: Score) -> list[ClassifierStep]:
        """Leave a stream open: the extractor ends it."""
        return [Step(state)]

    def is_open(self, saved: Score) -> bool:  # noqa: ARG002 - asked for by Core
        """Streams need no closing here."""
        return False

    def progress(self, saved: Score) -> Progress:
        """Order the scores of a stream id: by stream, then by window."""
        return saved.origin.offset, saved.next_window, saved.ended

    def is_expired(
        self,
        saved: Score,  # noqa: ARG002 - asked for by Core
        committed: int | None,  # noqa: ARG002
        age_seconds: float,
    ) -> bool:
        """Forget a score after a while; the extractor repeats windows for minutes at most."""
        return age_seconds > SCORE_SECONDS

    def _read(self, record: Record) -> FeatureVector | None:
        """Read a feature vector; ``None`` for one that is for other models.

        Raises
        ------
        MessageError
            Not a feature vector, or not of the width of its feature set.
        """
        vector = decode_event(record.value, FeatureVector)
        if vector.feature_set != self.model.metadata.feature_set:
            return None
        if len(vector.event_id) + len(vector.stream_id) > _MAX_ID_LENGTH:
            raise MessageError(f"the ids are longer than {_MAX_ID_LENGTH} characters: shorten them")
        width = len(feature_set(vector.feature_set).names)
        ends_without_window = vector.final and not vector.values
        if len(vector.values) != width and not ends_without_window:
            raise MessageError(
                f"the vector has {len(vector.values)} values, {vector.feature_set} has {width}: "
                "extract it again with a matching release"
            )
        if not np.isfinite(np.array(vector.values, np.float32)).all():
            raise MessageError("the vector has values beyond float32: extract it again")
        return vector
