"""What must come out, computed from the log of chunks by the services' own pure cores."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from schemas import (
    Event,
    GenrePrediction,
    GenreSegment,
    Place,
    TagPrediction,
    decode_event,
    encode_event,
    header,
)
from services.classifier.classifier import Classifier
from services.classifier.model import load_heads, load_model
from services.classifier.tags import Tagging
from services.extractor.agent import create_recipe
from services.extractor.extractor import Extractor
from services.kafka.topics import Topics
from services.processing.core import Core
from services.processing.records import Record
from services.settings import Settings

Values = dict[str, bytes]


@dataclass(frozen=True)
class Expected:
    """The events of an undisturbed run, and the places of its dead letters.

    Attributes
    ----------
    features, predictions, segments, tags
        By `event_id`.
    finals
        Ids of the predictions that end a stream.
    dead_letters
        Places of the messages.
    causes
        Place of the message that completed a window, by the id of its feature vector.
    """

    features: Values
    predictions: Values
    segments: Values
    tags: Values
    finals: frozenset[str]
    dead_letters: frozenset[Place]
    causes: dict[str, Place]


@dataclass(frozen=True)
class Verdict:
    """How the events of one topic compare with the expected ones; ids, and counts by id."""

    missing: frozenset[str]
    invented: frozenset[str]
    differing: frozenset[str]
    duplicates: int

    @property
    def is_exact(self) -> bool:
        """Tell whether nothing is missing, invented or different; duplicates are allowed."""
        return not (self.missing or self.invented or self.differing)


def expected(chunks: Iterable[Any], settings: Settings) -> Expected:
    """Compute what must come out of these records of the chunk topic."""
    model = load_model(settings.model_path)
    extractor = Extractor(create_recipe(settings, (model.metadata.feature_set,)), inf)
    classifier = Classifier(
        model,
        settings.silence_dbfs,
        settings.unknown_below,
        now_seconds=settings.now_seconds,
        change_seconds=settings.change_seconds,
        tagging=Tagging(
            load_heads(settings.head_paths, model), settings.tags_top, settings.tags_from
        ),
    )
    topics = Topics(settings.topic_prefix)
    ordered = sorted(chunks, key=lambda record: (record.partition, record.offset))
    vectors, letters = _fold(extractor, [to_record(record) for record in ordered])
    answers, _ = _fold(classifier, list(_feature_records(vectors, topics.features)))
    predictions = [event for event, *_ in answers if isinstance(event, GenrePrediction)]
    segments = [event for event, *_ in answers if isinstance(event, GenreSegment)]
    tags = [event for event, *_ in answers if isinstance(event, TagPrediction)]
    return Expected(
        {event.event_id: encode_event(event) for event, *_ in vectors},
        {event.event_id: encode_event(event) for event in predictions},
        {event.event_id: encode_event(event) for event in segments},
        {event.event_id: encode_event(event) for event in tags},
        frozenset(event.event_id for event in predictions if event.final),
        frozenset(letters),
        {event.event_id: cause for event, _, cause in vectors},
    )


def _fold(core: Core[Any, Any, Any], records: Sequence[Record]) -> tuple[list[Any], list[Place]]:
    """Run a core over records; return its events with time and cause, and its dead letters."""
    fold = Fold(core)
    events: list[Any] = []
    letters: list[Place] = []
    for record in records:
        for step in fold.steps(record):
            events += [(event, step.timestamp_ms, record.place) for event in step.events]
            letters += [letter.record.place for letter in step.dead_letters]
    return events, letters


class Fold:
    """Runs a core over the records of a topic, each partition in its order, as a worker does."""

    def __init__(self, core: Core[Any, Any, Any]) -> None:
        self._core = core
        self._live: dict[tuple[int, str], Any] = {}
        self._saved: dict[tuple[int, str], Any] = {}

    def steps(self, record: Record) -> Sequence[Any]:
        """Take in a record."""
        stream_id = self._core.stream_id(record)
        key = record.place.partition, stream_id
        state = self._live.pop(key, None)
        if state is None and key in self._saved:
            state = self._core.resume(stream_id, self._saved[key])
        steps = self._core.advance(state, record)
        for step in steps:
            if step.saved is not None:
                self._saved[key] = step.saved
        if steps[-1].state is not None:
            self._live[key] = steps[-1].state
        return steps


def to_record(record: Any) -> Record:
    return Record(
        Place(record.topic, record.partition, record.offset),
        record.timestamp,
        record.key,
        record.value or b"",
        list(record.headers),
        getattr(record.value, "fault", None),
    )


def _feature_records(vectors: Sequence[Any], topic: str) -> Iterator[Record]:
    for offset, (vector, timestamp_ms, _) in enumerate(vectors):
        place = Place(topic, 0, offset)
        yield Record(place, timestamp_ms, vector.stream_id.encode(), encode_event(vector))


def compare(wanted: Values, records: Iterable[Any], kind: type[Any]) -> Verdict:
    """Compare the records of a topic with the expected events."""
    seen: Counter[str] = Counter()
    differing = set()
    for record in records:
        event: Event = decode_event(record.value, kind)
        seen[event.event_id] += 1
        if record.value != wanted.get(event.event_id, record.value):
            differing.add(event.event_id)
    return Verdict(
        missing=frozenset(wanted.keys() - seen.keys()),
        invented=frozenset(seen.keys() - wanted.keys()),
        differing=frozenset(differing),
        duplicates=seen.total() - len(seen),
    )


def origin_of(letter: Any) -> Place:
    """Return the place in the log that a dead letter names."""
    names = ("dead_letter_topic", "dead_letter_partition", "dead_letter_offset")
    topic, partition, offset = (header(letter.headers, name) or "" for name in names)
    return Place(topic, int(partition), int(offset))
