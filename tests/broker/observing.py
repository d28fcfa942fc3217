"""Workers with a port of their own, and what they say there."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.embedded_broker import HOST, free_port
from services.settings import Settings
from tests.broker.shell import genrestream


@dataclass(frozen=True)
class Port:
    """The port of a worker."""

    number: int

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; status 0 where nobody answers."""
        connection = HTTPConnection(HOST, self.number, timeout=5.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    def is_ok(self, path: str) -> bool:
        """Tell whether a probe says ok."""
        return self.get(path)[0] == 200

    def samples(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Return the samples of a metric by the values of their other labels."""
        found: dict[tuple[str, ...], float] = {}
        status, text = self.get("/metrics")
        for family in text_string_to_metric_families(text if status == 200 else ""):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    others = tuple(v for k, v in sample.labels.items() if k not in labels)
                    found[others] = sample.value
        return found

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples; NaN, which equals nothing, when there are none."""
        samples = self.samples(name, **labels)
        return sum(samples.values()) if samples else math.nan


@contextmanager
def observed_worker(settings: Settings, service: str) -> Iterator[tuple[Any, Port]]:
    """Run a worker with a port."""
    port = Port(free_port())
    environment = worker_environment(settings) | {"GENRESTREAM_HTTP_PORT": str(port.number)}
    process = start_worker(service, environment)
    try:
        yield process, port
    finally:
        stop_workers({service: process})


def group_lag(settings: Settings) -> dict[str, int]:
    """Return the lag by topic, as ``genrestream lag`` prints it."""
    result = genrestream("lag", "--json", environment=worker_environment(settings))
    assert result.returncode == 0, result.stderr
    lag: dict[str, int] = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        topic = row["topic"].removeprefix(settings.topic_prefix)
        lag[topic] = lag.get(topic, 0) + row["lag"]
    return lag
