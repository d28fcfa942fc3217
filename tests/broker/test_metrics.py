"""Metrics tell the truth: counts are those of the events, lag is what waits, times are seconds."""

import time
from collections import Counter

import pytest

from services.console.stack import worker_environment
from services.kafka.embedded_broker import free_port
from services.settings import Settings
from tests.broker.harness import (
    SAMPLE_RATE,
    Collected,
    Message,
    fresh_settings,
    music,
    pcm_stream,
    run,
)
from tests.broker.observing import Port, observed_worker
from tests.broker.shell import genrestream, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

STREAMS = {f"stream-{i}": 3.0 * (i + 1) + 1.5 for i in range(4)}  # seconds: i + 2 windows each
POISON = 7


def load() -> list[Message]:
    streams = [
        message
        for i, (name, seconds) in enumerate(STREAMS.items())
        for message in pcm_stream(name, music(seconds, seed=i), SAMPLE_RATE)
    ]
    return streams + [Message(b"no audio", f"poison-{i}".encode()) for i in range(POISON)]


def _complete(collected: Collected) -> bool:
    return all(collected.final(name) for name in STREAMS) and len(collected.dead_letters) == POISON


@pytest.fixture(scope="module")
def settings(brokers: str) -> Settings:
    return fresh_settings(brokers, "metrics.", model="discriminant-librosa-52")


def test_counts_equal_the_events(settings: Settings) -> None:
    messages = load()
    with (
        observed_worker(settings, "extractor") as (_, extractor),
        observed_worker(settings, "classifier") as (_, classifier),
    ):
        collected = run(settings, messages, _complete)
        assert _complete(collected)
        wait_until(lambda: extractor.total("genrestream_live_streams") == 0, 10)
        _check_extractor(settings, extractor, len(messages), collected)
        _check_classifier(settings, classifier, collected)
        for port in (extractor, classifier):
            wait_until(lambda: port.total("genrestream_consumer_group_lag_messages") == 0, 20)  # noqa: B023
            assert port.total("genrestream_consumer_lag_messages") == 0
            assert port.total("genrestream_assigned_partitions") == settings.partitions
            assert port.is_ok("/healthz")
            assert port.is_ok("/readyz")


def _check_extractor(settings: Settings, port: Port, sent: int, collected: Collected) -> None:
    windows = sum(map(len, collected.predictions.values()))
    consumed = "messaging_client_consumed_messages_total"
    chunks = f"{settings.topic_prefix}audio.chunks"
    assert port.total(consumed, messaging_destination_name=chunks) == sent
    assert port.samples("genrestream_windows_total") == {("librosa-52",): windows}
    assert port.total("genrestream_audio_seconds_total") == pytest.approx(sum(STREAMS.values()))
    reasons = port.samples("genrestream_dead_letters_total", service="extractor")
    assert reasons["unsupported-audio",] == POISON
    assert sum(reasons.values()) == POISON
    assert port.samples("messaging_client_sent_messages_total") == {
        (f"{settings.topic_prefix}audio.features",): windows,
        (f"{settings.topic_prefix}audio.dead-letter",): POISON,
    }
    assert port.total("messaging_process_duration_seconds_count") == sent
    # So many windows take longer than a microsecond and less than this whole test: seconds.
    assert 1e-6 * sent < port.total("messaging_process_duration_seconds_sum") < 60


def _check_classifier(settings: Settings, port: Port, collected: Collected) -> None:
    predictions = [p for found in collected.predictions.values() for p in found]
    windows = Counter(p.window.label for p in predictions if p.window)
    finals = Counter(p.label for p in predictions if p.final)
    assert sum(finals.values()) == len(STREAMS)
    for name, expected in (
        ("genrestream_window_predictions_total", windows),
        ("genrestream_stream_predictions_total", finals),
    ):
        found = {label: n for (label,), n in port.samples(name).items() if n}
        assert found == expected
    segments = port.total("genrestream_segments_total")
    assert segments >= len(STREAMS)
    assert port.samples("messaging_client_sent_messages_total") == {
        (f"{settings.topic_prefix}genre.predictions",): len(predictions),
        (f"{settings.topic_prefix}genre.segments",): segments,
    }
    events = len(predictions) + segments
    assert port.total("genrestream_event_delay_seconds_count") == events
    mean = port.total("genrestream_event_delay_seconds_sum") / events
    assert 0.001 < mean < 60


def test_health_from_the_shell(settings: Settings) -> None:
    nobody = genrestream("health", environment={"GENRESTREAM_HTTP_PORT": str(free_port())})
    assert nobody.returncode == 1
    assert "nothing answers on port" in nobody.stderr
    with observed_worker(settings, "classifier") as (process, port):
        environment = {"GENRESTREAM_HTTP_PORT": str(port.number)}
        deadline = time.monotonic() + 60
        while (answer := genrestream("health", environment=environment)).returncode:
            assert process.poll() is None
            assert time.monotonic() < deadline
        assert answer.stdout == "ready\n"
        assert port.get("/elsewhere") == (404, "here are /metrics, /healthz, /readyz\n")


def test_a_port_in_use(settings: Settings) -> None:
    with observed_worker(settings, "classifier") as (_, port):
        wait_until(lambda: port.is_ok("/readyz"), 60)
        environment = worker_environment(settings) | {"GENRESTREAM_HTTP_PORT": str(port.number)}
        second = genrestream("worker", "classifier", environment=environment)
    assert second.returncode == 2
    assert f"GENRESTREAM_HTTP_PORT={port.number}" in second.stderr
