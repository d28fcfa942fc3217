"""Trace context: carried from chunk to prediction, and a span a message where spans are exported.

Without the OpenTelemetry SDK, or without its configuration in ``OTEL_…`` variables, a message's
``traceparent`` is passed on as it is.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from schemas import header
from schemas.errors import MessageError
from services.processing.records import Record
from services.processing.trace_context import valid_traceparent

logger = logging.getLogger(__name__)

_HEADER: Final = "traceparent"
_CONFIGURED_BY: Final = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)


class Tracer(Protocol):
    """What the worker does with a message's trace context."""

    @contextmanager
    def span(self, record: Record | None, began_ns: int) -> Iterator[str | None]:
        """Give the ``traceparent`` that what comes of a message is sent with.

        Parameters
        ----------
        record
            The message; ``None`` for the end of an idle stream.
        began_ns
            When its processing began, in nanoseconds since the epoch.
        """

    def close(self) -> None:
        """Send what is not sent yet."""


class PassOn:
    """Passes the context of a message on to what comes of it."""

    @contextmanager
    def span(self, record: Record | None, began_ns: int) -> Iterator[str | None]:  # noqa: ARG002
        """Give the message's own ``traceparent``."""
        yield traceparent(record)

    def close(self) -> None:
        """There is nothing to send."""


class Spans:
    """Makes a span a message, the child of the one that sent it.

    Parameters
    ----------
    provider
        OpenTelemetry's tracer provider.
    group
        Consumer group of the service.
    """

    def __init__(self, provider: Any, group: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("genrestream")
        self._group = group

    @contextmanager
    def span(self, record: Record | None, began_ns: int) -> Iterator[str | None]:
        """Make a span and give its context."""
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if record is None:
            yield None
            return
        propagator = TraceContextTextMapPropagator()
        parent = traceparent(record)
        span = self._tracer.start_span(
            f"process {record.place.topic}",
            context=propagator.extract({_HEADER: parent} if parent else {}),
            kind=SpanKind.CONSUMER,
            attributes=self._attributes(record),
            start_time=began_ns,
        )
        carrier: dict[str, str] = {}
        propagator.inject(carrier, context=set_span_in_context(span))
        try:
            yield carrier.get(_HEADER)
        finally:
            span.end()

    def _attributes(self, record: Record) -> dict[str, str | int]:
        """Name a message as the semantic conventions for Kafka do."""
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.consumer.group.name": self._group,
            "messaging.destination.name": record.place.topic,
            "messaging.destination.partition.id": str(record.place.partition),
            "messaging.kafka.offset": record.place.offset,
            "messaging.message.body.size": len(record.value),
        }
        if record.key:
            attributes["messaging.kafka.message.key"] = record.key.decode(errors="replace")
        return attributes

    def close(self) -> None:
        """Send the spans that wait."""
        self._provider.shutdown()


def traceparent(record: Record | None) -> str | None:
    """Return the context that a message carries, if it is W3C's."""
    try:
        return valid_traceparent(header(record.headers, _HEADER)) if record else None
    except MessageError:
        return None


def create_tracer(service: str, group: str) -> Tracer:
    """Return what the environment asks for: spans, or context that is passed on."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    if off or exporter == "none" or not any(os.environ.get(name) for name in _CONFIGURED_BY):
        return PassOn()
    try:
        return Spans(_provider(service, exporter), group)
    except ImportError as error:
        logger.warning("no spans are exported: %s; install genrestream[otel]", error)
        return PassOn()


def _provider(service: str, exporter: str) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    named = "OTEL_SERVICE_NAME" in os.environ
    attributes = {} if named else {"service.name": f"genrestream-{service}"}
    provider = TracerProvider(resource=Resource.create(attributes))
    if exporter == "console":
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
        return provider
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
