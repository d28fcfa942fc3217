"""What a worker counts, in Prometheus' types and base units.

Names follow OpenTelemetry's conventions for messaging where these have one; docs/operations.md
lists them all.
"""

from collections.abc import Iterable
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
)

from schemas import Event, FeatureVector, GenrePrediction, GenreSegment, Place
from schemas.errors import InputError
from services.processing.core import Outputs
from services.processing.records import Step

_PROCESS_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_DELAY_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class Metrics:
    """Counters of one worker; what it calls is listed here, what is read is in `registry`.

    Parameters
    ----------
    service
        Name of the service.
    group, source
        Consumer group, and the topic that it reads.
    labels
        That its model gives; they are counted from 0 on.

    Attributes
    ----------
    registry
        Where the metrics are registered.
    """

    def __init__(self, service: str, group: str, source: str, labels: Iterable[str] = ()) -> None:
        self.service = service
        self.group = group
        self.source = source
        self.registry = CollectorRegistry()
        self._consumed = self._counter(
            "messaging_client_consumed_messages",
            "Messages taken in",
            "messaging_consumer_group_name",
            "messaging_destination_name",
            "messaging_destination_partition_id",
        )
        self._sent = self._counter(
            "messaging_client_sent_messages",
            "Messages that the broker has taken",
            "messaging_destination_name",
        )
        self._process = Histogram(
            "messaging_process_duration_seconds",
            "Time that processing a message took, without waiting for the broker",
            ("messaging_consumer_group_name", "messaging_destination_name"),
            buckets=_PROCESS_SECONDS,
            registry=self.registry,
        ).labels(group, source)
        self._delay = Histogram(
            "genrestream_event_delay_seconds",
            "From the timestamp of the chunk that caused an event to the delivery of the event",
            ("service",),
            buckets=_DELAY_SECONDS,
            registry=self.registry,
        ).labels(service)
        self._windows = self._counter(
            "genrestream_windows", "Windows extracted, once a feature set", "feature_set"
        )
        self._audio = self._counter(
            "genrestream_audio_seconds", "Audio in those windows", "feature_set"
        )
        self._answers = self._counter(
            "genrestream_window_predictions", "Windows classified, by their own label", "label"
        )
        self._finals = self._counter(
            "genrestream_stream_predictions", "Streams that ended, by their final label", "label"
        )
        self._segments = self._counter("genrestream_segments", "Segments that ended", "label")
        self._letters = self._counter(
            "genrestream_dead_letters", "Messages that could not be processed", "service", "reason"
        )
        self._begin_at_zero(labels)

    def _counter(self, name: str, text: str, *label_names: str) -> Counter:
        return Counter(name, text, label_names, registry=self.registry)

    def _begin_at_zero(self, labels: Iterable[str]) -> None:
        """Show what did not happen yet: the first one is an increase only from 0."""
        for code in sorted(_codes(InputError)):
            self._letters.labels(self.service, code)
        for label in labels:
            self._answers.labels(label)
            self._finals.labels(label)
            self._segments.labels(label)

    def consumed(self, place: Place) -> None:
        """Count a message that was taken in."""
        self._consumed.labels(self.group, place.topic, place.partition).inc()

    def processed(self, seconds: float, messages: int = 1) -> None:
        """Note how long processing took; messages processed together share it equally."""
        for _ in range(messages):
            self._process.observe(seconds / messages)

    def delivered(self, step: Step[Any, Any, Any], topics: Outputs, now: float) -> None:
        """Count what the broker has taken of a step.

        Parameters
        ----------
        step
            What came of a message.
        topics
            Where it went.
        now
            Seconds since the epoch.
        """
        for event in step.events:
            self._sent.labels(topics.events[type(event)]).inc()
            self._delay.observe(max(0.0, now - step.timestamp_ms / 1000))
            self._count_event(event)
        for letter in step.dead_letters:
            self._sent.labels(topics.dead_letters).inc()
            self._letters.labels(self.service, letter.error.code).inc()

    def _count_event(self, event: Event) -> None:
        if isinstance(event, FeatureVector):
            self._count_window(event)
        elif isinstance(event, GenreSegment):
            self._segments.labels(event.label).inc()
        elif isinstance(event, GenrePrediction):
            if event.window:
                self._answers.labels(event.window.label).inc()
            if event.final:
                self._finals.labels(event.label).inc()

    def _count_window(self, vector: FeatureVector) -> None:
        if vector.values:
            self._windows.labels(vector.feature_set).inc()
            seconds = vector.end_seconds - vector.start_seconds
            self._audio.labels(vector.feature_set).inc(seconds)


def _codes(error: type[InputError]) -> set[str]:
    return {error.code}.union(*map(_codes, error.__subclasses__()))
