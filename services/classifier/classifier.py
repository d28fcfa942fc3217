"""The classifier's core: JSON of feature vectors to predictions and segments."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from features import CONTENT_SET, feature_set
from schemas import (
    FeatureVector,
    GenrePrediction,
    GenreSegment,
    Place,
    TagPrediction,
    decode_event,
    keyless_stream_id,
    to_milliseconds,
)
from schemas.errors import InputError, MessageError
from schemas.votes import pool
from services.classifier.model import Model
from services.classifier.now import Rule
from services.classifier.score import Score, add, hear_window, is_done, predict
from services.classifier.segments import take_in, to_now
from services.classifier.tags import Tagging
from services.processing.core import Turn
from services.processing.records import DeadLetter, Progress, Record, Step

ClassifierEvent = GenrePrediction | GenreSegment | TagPrediction
ClassifierStep = Step[Score, Score, ClassifierEvent]
#: A message as read: ``None`` for one that is for other models.
Reading = FeatureVector | InputError | None

#: How long the score of a stream is kept, so that repeated windows of it are recognised.
SCORE_SECONDS: Final = 3600.0
#: Of a score beside its probabilities.
_SCORE_BYTES: Final = 4096
#: Of the sum of one tag.
_TAG_BYTES: Final = 32
#: The largest integer that JSON's readers agree on.
_LARGEST_COUNT: Final = 2**53
_MAX_ID_LENGTH: Final = 8192
_CONTENT_NAMES: Final = feature_set(CONTENT_SET).names


class Found(NamedTuple):
    """Probabilities of a window's genres, and of the tags of each head; empty without features."""

    genres: Sequence[float]
    tags: Sequence[Sequence[float]]


class Answer(NamedTuple):
    """What comes of a window: the score of its stream, the prediction, segments that it ends, tags.

    There are as many predictions of tags as heads.
    """

    score: Score
    prediction: GenrePrediction
    segments: tuple[GenreSegment, ...]
    tags: tuple[TagPrediction, ...] = ()


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model and some limits: all that the answers depend on.

    Attributes
    ----------
    model
        The model.
    silence_dbfs
        Level below which a window is silence.
    unknown_below
        Confidence below which an answer is ``unknown``; by default what the model's file says.
    one_run
        Whether windows that wait together share a run of the model. It must not change a bit.
    now_seconds, change_seconds
        How much audio `now` is about, and for how much another label must lead to replace it.
    music_only
        Whether the labels are of music, so that what is no music has none.
    tagging
        Heads that are asked beside the model.
    unsent
        Returns those of some places where no chunk is; origins are compared with it.
    """

    model: Model
    silence_dbfs: float = -60.0
    unknown_below: float | None = None
    one_run: bool = True
    now_seconds: float = 30.0
    change_seconds: float = 12.0
    music_only: bool = True
    tagging: Tagging = field(default_factory=Tagging)
    unsent: Callable[[Collection[Place]], Collection[Place]] = field(default=lambda _: ())

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
        return self.advance_many([Turn(state, [record])])[0][0]

    def advance_many(self, turns: Sequence[Turn[Score]]) -> list[list[list[ClassifierStep]]]:
        """Take in the messages of different streams, with one run of the model for all."""
        readings = self._of_chunks(
            [[self._read(record) for record in turn.records] for turn in turns]
        )
        answers = iter(self._ask([reading for some in readings for reading in some]))
        return [
            list(self._fold(turn, some, answers))
            for turn, some in zip(turns, readings, strict=True)
        ]

    def _of_chunks(self, readings: list[list[Reading]]) -> list[list[Reading]]:
        """Refuse vectors whose origin is no chunk: all that wait are asked for at once."""
        origins = {r.origin for some in readings for r in some if isinstance(r, FeatureVector)}
        unsent = self.unsent(origins) if origins else ()
        if not unsent:
            return readings
        return [
            [
                _no_chunk(r.origin) if isinstance(r, FeatureVector) and r.origin in unsent else r
                for r in some
            ]
            for some in readings
        ]

    def _fold(
        self, turn: Turn[Score], readings: Sequence[Reading], answers: Iterator[Found]
    ) -> Iterator[list[ClassifierStep]]:
        """Add the windows of a stream to its score, one after another."""
        state = turn.state
        for record, reading in zip(turn.records, readings, strict=True):
            step = self._step(state, record, reading, next(answers))
            state = step.saved or state  # of an ended stream, too, to know its repetitions
            yield [step]

    def _step(
        self, state: Score | None, record: Record, reading: Reading, found: Found
    ) -> ClassifierStep:
        offset = record.place.offset
        if isinstance(reading, InputError):
            return Step(state, dead_letters=(DeadLetter(record, reading),), released=(offset,))
        if reading is None or is_done(state, reading):
            return Step(state, released=(offset,))
        try:
            score, prediction, segments, tags = self._answer(state, reading, found)
        except MessageError as error:
            return Step(state, dead_letters=(DeadLetter(record, error),), released=(offset,))
        state = None if score.ended else score  # an ended one is in the table, for repetitions
        events: tuple[ClassifierEvent, ...] = (prediction, *segments, *tags)
        return Step(state, events, (), (offset,), score, record.timestamp_ms)

    def classify(self, score: Score | None, vector: FeatureVector) -> tuple[Score, GenrePrediction]:
        """Add a window to the score of its stream and make the prediction."""
        return self.answer(score, vector)[:2]

    def answer(self, score: Score | None, vector: FeatureVector) -> Answer:
        """Add a window to the score of its stream, make the prediction, and end segments.

        Raises
        ------
        MessageError
            A model has no finite answer for the values.
        """
        return self._answer(score, vector, self._ask([vector])[0])

    @property
    def rule(self) -> Rule:
        """When `now` changes."""
        limit = self.unknown_below
        if limit is None:
            limit = self.model.metadata.unknown_below
        return Rule(self.model.labels, self.now_seconds, self.change_seconds, limit)

    def _answer(self, score: Score | None, vector: FeatureVector, found: Found) -> Answer:
        _check_finite(found)
        rule, model = self.rule, self.model.reference
        content = vector.content if self.music_only else None
        heard = hear_window(
            vector, content, found.genres, rule.labels, self.silence_dbfs, rule.unknown_below
        )
        is_new = score is None or score.origin != vector.origin
        before = score.now if score else None
        now, segments = take_in(before, vector, heard, rule, model, is_new=is_new)
        tags = self.tagging.add({} if is_new or not score else score.tags, heard, found.tags)
        score = add(score, vector, heard, rule.labels, now, tags)
        prediction = predict(
            score,
            vector,
            heard,
            rule.labels,
            model,
            rule.unknown_below,
            to_now(now, rule),
            self.model.metadata.vote_sharpness,
        )
        return Answer(
            score, prediction, segments, self.tagging.predict(tags, vector, heard, found.tags)
        )

    def _ask(self, readings: Sequence[Reading]) -> list[Found]:
        """Ask the model and the heads for each window."""
        vectors = [r if isinstance(r, FeatureVector) else None for r in readings]
        values = [v.values if v else () for v in vectors]
        genres = self._genres(vectors, values)
        tags = [self._run(head, values) for head in self.tagging.heads]
        return [Found(one, [rows[n] for rows in tags]) for n, one in enumerate(genres)]

    def _genres(
        self, vectors: Sequence[FeatureVector | None], values: Sequence[Sequence[float]]
    ) -> list[list[float]]:
        """Ask the model, and the one that it is pooled with."""
        found = self._run(self.model, values)
        if self.model.pooled_with is None:
            return found
        embeddings = [v.content_embedding if v and v.values else () for v in vectors]
        others = self._run(self.model.pooled_with, embeddings)
        weights = self.model.metadata.pool_weights
        return [
            pool(one, other, weights) if other else one
            for one, other in zip(found, others, strict=True)
        ]

    def _run(self, model: Model, vectors: Sequence[Sequence[float]]) -> list[list[float]]:
        """Run one model on vectors, some of which are empty."""
        rows = [values for values in vectors if values]
        if not rows:
            return [[] for _ in vectors]
        size = len(rows) if self.one_run else 1
        runs = [
            model.probabilities(np.array(rows[first : first + size], np.float32))
            for first in range(0, len(rows), size)
        ]
        found = iter(np.concatenate(runs).tolist())
        return [next(found) if values else [] for values in vectors]

    def close(self, state: Score) -> list[ClassifierStep]:
        """Leave a stream open: the extractor ends it."""
        return [Step(state)]

    def size(self, state: Score) -> int:
        """Return about how many bytes of memory a score takes."""
        kept = 0 if state.now is None else len(state.now.windows)
        tags = sum(_TAG_BYTES * len(sums.total) for sums in state.tags.values())
        return _SCORE_BYTES + 8 * len(state.total) * (kept + 1) + tags

    def shed(self, state: Score, reason: InputError) -> list[ClassifierStep]:  # noqa: ARG002
        """Forget a score, which is in the table: the stream's next window takes it from there."""
        return [Step(None)]

    def is_open(self, saved: Score) -> bool:  # noqa: ARG002 - asked for by Core
        """Streams need no closing here."""
        return False

    def progress(self, saved: Score) -> Progress:
        """Order the scores of a stream id: by stream, then by window."""
        return saved.origin.offset, saved.next_window, saved.ended

    def reaches(self, saved: Score) -> int:  # noqa: ARG002 - asked for by Core
        """Return 0: a score says nothing of offsets."""
        return 0

    def is_over(self, saved: Score, committed: int | None) -> bool:  # noqa: ARG002
        """Tell whether a stream has ended."""
        return saved.ended

    def is_expired(
        self,
        saved: Score,  # noqa: ARG002 - asked for by Core
        committed: int | None,  # noqa: ARG002
        age_seconds: float,
    ) -> bool:
        """Forget a score after a while; the extractor repeats windows for minutes at most."""
        return age_seconds > SCORE_SECONDS

    def _read(self, record: Record) -> Reading:
        try:
            return self._vector(record)
        except InputError as error:
            return error

    def _vector(self, record: Record) -> FeatureVector | None:
        """Read a feature vector; ``None`` for one that is for other models.

        Raises
        ------
        MessageError
            Not a feature vector, not of the width of its feature set, or with the key of another
            stream, whose score it would disturb.
        """
        if record.fault:
            raise record.fault
        vector = decode_event(record.value, FeatureVector)
        if vector.feature_set != self.model.metadata.feature_set:
            return None
        if len(vector.event_id) + len(vector.stream_id) > _MAX_ID_LENGTH:
            raise MessageError(f"the ids are longer than {_MAX_ID_LENGTH} characters: shorten them")
        if vector.stream_id != self.stream_id(record):
            raise MessageError(
                f"the key {(record.key or b'')[:40]!r} is not the vector's stream id "
                f"{vector.stream_id[:40]!r}: send a vector with its stream id as key"
            )
        width = len(feature_set(vector.feature_set).names)
        _check_counts(vector)
        ends_without_window = vector.final and not vector.values
        _check_time(vector)
        if len(vector.values) != width and not ends_without_window:
            raise MessageError(
                f"the vector has {len(vector.values)} values, {vector.feature_set} has {width}: "
                "extract it again with a matching release"
            )
        if len(vector.content_embedding) not in (0, len(_CONTENT_NAMES)):
            raise MessageError(
                f"content_embedding has {len(vector.content_embedding)} values, {CONTENT_SET} has "
                f"{len(_CONTENT_NAMES)}: extract it again with a matching release"
            )
        with np.errstate(over="ignore"):  # it is refused in the next line
            values = np.array((*vector.values, *vector.content_embedding), np.float32)
        if not np.isfinite(values).all():
            raise MessageError("the vector has values beyond float32: extract it again")
        return vector


def _no_chunk(origin: Place) -> MessageError:
    return MessageError(
        f"the origin {origin} is no chunk of ours: it names another topic, or lies beyond its end"
    )


def _check_finite(found: Found) -> None:
    """Refuse values so large that a model overflows: its answer would stay in the score."""
    for probabilities in (found.genres, *found.tags):
        if not math.isfinite(sum(probabilities)):
            raise MessageError("the vector's values are too large for the model: extract it again")


def _check_counts(vector: FeatureVector) -> None:
    """Refuse counts that nobody reaches; sums of them would not fit into 64 bits."""
    place = vector.origin
    for count in (vector.window_index, vector.missing_chunks, place.partition, place.offset):
        if count > _LARGEST_COUNT:
            raise MessageError(
                f"the vector counts to {count}, at most {_LARGEST_COUNT} is taken: extract it again"
            )


def _check_time(vector: FeatureVector) -> None:
    try:
        to_milliseconds(vector.heard_at or "1970-01-01T00:00:00.000Z")
    except ValueError as error:
        raise MessageError(
            f"heard_at is {vector.heard_at!r}, which no calendar has: extract the vector again"
        ) from error
