"""Workers that stop in mid-stream: nothing is missing, and nothing differs."""

import signal
from collections import Counter
from typing import Any

import pytest

from schemas import encode_event
from services.console.stack import start_worker, worker_environment
from services.settings import Settings
from tests.broker.harness import (
    SAMPLE_RATE,
    Collected,
    Message,
    fresh_settings,
    music,
    pcm_stream,
    run,
    running_workers,
    wait_for_exit,
)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

STREAMS = {f"stream {i}": music(30.0, seed=i) for i in range(6)}
#: 0.7 s: the borders of chunks and windows fall apart, so windows are open at any moment.
CHUNK = 7 * SAMPLE_RATE // 10


def _interleaved() -> list[Message]:
    streams = [pcm_stream(name, samples, CHUNK) for name, samples in STREAMS.items()]
    return [message for group in zip(*streams, strict=True) for message in group]


def _all_final(collected: Collected) -> bool:
    return all(any(p.final for p in collected.predictions.get(name, [])) for name in STREAMS)


def _interrupt(
    settings: Settings, workers: dict[str, Any], service: str, number: signal.Signals
) -> Any:
    """Return a callback that stops and restarts a worker once some predictions are there."""
    environment = worker_environment(settings)
    done: list[str] = []

    def meanwhile(collected: Collected) -> None:
        seen = sum(map(len, collected.predictions.values()))
        if seen < 15 or done:
            return
        done.append(service)
        workers[service].send_signal(number)
        code = wait_for_exit(workers[service], 10)
        assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        workers[service] = start_worker(service, environment)

    return meanwhile


@pytest.mark.parametrize("service", ["extractor", "classifier"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_a_restarted_worker_goes_on_where_it_was(
    brokers: str, service: str, number: signal.Signals
) -> None:
    settings = fresh_settings(brokers, f"restart-{service}-{number.name}.")
    with running_workers(settings, "extractor", "classifier") as workers:
        collected = run(
            settings,
            _interleaved(),
            _all_final,
            _interrupt(settings, workers, service, number),
        )
    assert collected.dead_letters == {}
    for name in STREAMS:
        predictions = collected.predictions[name]
        values: dict[str, set[bytes]] = {}
        for prediction in predictions:
            values.setdefault(prediction.event_id, set()).add(encode_event(prediction))
        assert all(len(versions) == 1 for versions in values.values()), "values differ"
        assert {p.window_index for p in predictions} == set(range(10))
        if number == signal.SIGTERM:
            duplicates = [
                id_ for id_, n in Counter(p.event_id for p in predictions).items() if n > 1
            ]
            assert duplicates == []
