"""Apache Kafka for tests, by whatever way this machine has: Docker, or Java and Maven."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.faults.docker_kafka import DockerKafka
from tests.faults.kafka import Kafka, KafkaUnavailable


class Broker(Protocol):
    """A broker that can be killed, paused and started again."""

    address: str

    def start(self) -> None:
        """Start it and wait until it serves clients."""

    def send_signal(self, number: signal.Signals) -> None:
        """Pause it by SIGSTOP, let it go on by SIGCONT."""

    def kill(self) -> None:
        """End it as a crash would."""

    def stop(self) -> None:
        """End it for good."""


def start_kafka(folder: Path, settings: Mapping[str, object] | None = None) -> Broker:
    """Start an Apache Kafka of our own.

    Parameters
    ----------
    folder
        An empty folder for its log, if it runs outside of Docker.
    settings
        Broker settings beside those of the tests.

    Raises
    ------
    KafkaUnavailable
        There is no way to; the message has the reason of each.
    """
    reasons = []
    for make in (lambda: DockerKafka(settings), lambda: Kafka(folder, settings)):
        try:
            broker: Broker = make()
            broker.start()
        except KafkaUnavailable as reason:
            reasons.append(str(reason))
        else:
            return broker
    raise KafkaUnavailable("; ".join(reasons))
