"""Lag and liveness, on Apache Kafka.

Not on Tansu: its end offset counts the last batch of a partition as one message.
"""

import signal
from collections.abc import Iterator

import pytest

from services.console.stack import worker_environment
from services.kafka.embedded_broker import free_port
from services.settings import Settings
from tests.broker.harness import (
    SAMPLE_RATE,
    fresh_settings,
    music,
    pcm_stream,
    run,
    running_workers,
)
from tests.broker.observing import Port, group_lag, observed_worker
from tests.broker.shell import running, wait_until
from tests.broker.test_metrics import STREAMS, load
from tests.conftest import kafka_of_our_own
from tests.faults.brokers import Broker

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = kafka_of_our_own(tmp_path_factory)
    yield broker
    broker.stop()


@pytest.fixture
def settings(kafka: Broker) -> Settings:
    return fresh_settings(kafka.address, "lag.")


def test_lag_is_right_while_a_worker_is_stopped(settings: Settings) -> None:
    """Its own port is gone then: others of its group, ``lag`` and its exporter ask the broker."""
    with running_workers(settings, "classifier"), observed_worker(settings, "extractor") as (_, w):
        wait_until(lambda: w.total("genrestream_consumer_group_lag_messages") == 0, 30)
    assert group_lag(settings) == {"audio.chunks": 0, "audio.features": 0}
    messages = load()
    run(settings, messages, lambda _: True)
    assert group_lag(settings) == {"audio.chunks": len(messages), "audio.features": 0}
    _check_exporter(settings, len(messages))
    with observed_worker(settings, "extractor") as (_, extractor):
        wait_until(lambda: extractor.is_ok("/readyz"), 60)
        wait_until(lambda: extractor.total("genrestream_consumer_group_lag_messages") == 0, 60)
    vectors = sum(int(seconds // 3) + 1 for seconds in STREAMS.values())
    assert group_lag(settings) == {"audio.chunks": 0, "audio.features": vectors}


def _check_exporter(settings: Settings, expected: int) -> None:
    port = Port(free_port())
    environment = worker_environment(settings) | {"GENRESTREAM_HTTP_PORT": str(port.number)}
    chunks = f"{settings.topic_prefix}audio.chunks"
    with running("lag", "--serve", environment=environment):
        wait_until(lambda: port.is_ok("/readyz"), 30)
        found = port.samples("genrestream_consumer_group_lag_messages", topic=chunks)
    assert len(found) == settings.partitions
    assert sum(found.values()) == expected


def test_an_open_window_is_lag_that_is_processed(settings: Settings) -> None:
    with observed_worker(settings, "extractor") as (_, port):
        wait_until(lambda: port.is_ok("/readyz"), 60)
        run(settings, pcm_stream("open", music(2.0), SAMPLE_RATE // 2)[:-1], lambda _: True)
        wait_until(lambda: port.total("genrestream_consumer_group_lag_messages") == 3, 20)
        assert port.total("genrestream_consumer_lag_messages") == 0
        assert port.total("genrestream_live_streams") == 1


def test_a_paused_broker(kafka: Broker, settings: Settings) -> None:
    with (
        observed_worker(settings, "extractor") as (extractor, x),
        observed_worker(settings, "classifier") as (classifier, c),
    ):
        for port in (x, c):
            wait_until(lambda: port.is_ok("/readyz") and port.is_ok("/healthz"), 60)  # noqa: B023
        kafka.send_signal(signal.SIGSTOP)
        try:
            for port in (x, c):
                wait_until(lambda: not port.is_ok("/healthz"), 60)  # noqa: B023
                status, text = port.get("/healthz")
                assert status == 503
                assert "no broker has answered for" in text
                assert port.total("genrestream_alive") == 0
                assert port.samples("genrestream_consumer_group_lag_messages") == {}
        finally:
            kafka.send_signal(signal.SIGCONT)
        for port in (x, c):
            wait_until(lambda: port.is_ok("/healthz") and port.is_ok("/readyz"), 90)  # noqa: B023
        stream = pcm_stream("after", music(4.0), 22_050)
        answer = run(settings, stream, lambda collected: collected.final("after") is not None)
        assert answer.final("after")
        assert extractor.poll() is None
        assert classifier.poll() is None
