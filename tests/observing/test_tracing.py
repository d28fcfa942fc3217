"""Trace context goes from message to message, through spans where spans are exported."""

import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from schemas import Headers, Place
from services.observing.tracing import PassOn, Spans, create_tracer
from services.processing.records import Record

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def _record(traceparent: bytes | None = TRACEPARENT.encode()) -> Record:
    headers: Headers = [] if traceparent is None else [("traceparent", traceparent)]
    return Record(Place("audio.chunks", 2, 17), 0, b"radio", b"12345", headers)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Spans:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Spans(provider, "genrestream-extractor")


def test_a_span_is_the_child_of_the_message_and_the_parent_of_what_comes(
    spans: Spans, exporter: InMemorySpanExporter
) -> None:
    began = time.time_ns()
    with spans.span(_record(), began) as chunk, spans.span(_record(chunk.encode()), began):  # type: ignore[union-attr]
        pass
    second, first = exporter.get_finished_spans()
    assert first.parent
    assert f"{first.parent.trace_id:032x}" == TRACE
    assert f"{first.parent.span_id:016x}" == PARENT
    assert chunk == f"00-{TRACE}-{first.context.span_id:016x}-01"
    assert second.parent
    assert second.parent.span_id == first.context.span_id
    assert first.kind is SpanKind.CONSUMER
    assert first.name == "process audio.chunks"
    assert first.start_time == began
    assert first.end_time
    assert first.end_time >= began
    assert first.attributes
    assert first.attributes["messaging.consumer.group.name"] == "genrestream-extractor"
    assert first.attributes["messaging.destination.partition.id"] == "2"
    assert first.attributes["messaging.kafka.offset"] == 17
    assert first.attributes["messaging.message.body.size"] == 5


@pytest.mark.parametrize("header", [None, b"nonsense", b"\xff"])
def test_a_message_without_context_begins_a_trace(
    spans: Spans, exporter: InMemorySpanExporter, header: bytes | None
) -> None:
    with spans.span(_record(header), time.time_ns()) as traceparent:
        assert traceparent
    (span,) = exporter.get_finished_spans()
    assert span.parent is None


def test_context_that_is_not_sampled_is_carried_without_a_span(
    spans: Spans, exporter: InMemorySpanExporter
) -> None:
    with spans.span(_record(f"00-{TRACE}-{PARENT}-00".encode()), 0) as traceparent:
        assert traceparent
        assert traceparent.startswith(f"00-{TRACE}-")
        assert traceparent.endswith("-00")
    assert not exporter.get_finished_spans()


def test_without_configuration_context_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    tracer = create_tracer("extractor", "group")
    assert isinstance(tracer, PassOn)
    with tracer.span(_record(), 0) as traceparent:
        assert traceparent == TRACEPARENT
    with tracer.span(_record(b"\xff"), 0) as traceparent:
        assert traceparent is None
    with tracer.span(None, 0) as traceparent:
        assert traceparent is None


def test_the_environment_turns_spans_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    tracer = create_tracer("extractor", "group")
    assert isinstance(tracer, Spans)
    tracer.close()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert isinstance(create_tracer("extractor", "group"), PassOn)
