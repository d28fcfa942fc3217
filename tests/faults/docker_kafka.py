"""Apache Kafka for tests, from the project's own image where Docker runs."""

import asyncio
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.kafka.embedded_broker import HOST, free_port
from tests.faults.kafka import SETTINGS, KafkaUnavailable

IMAGE: Final = "apache/kafka:4.1.0"
_PULL_SECONDS: Final = 180.0
_COMMAND_SECONDS: Final = 60.0
_START_SECONDS: Final = 60.0
_SIGNALS: Final = {signal.SIGSTOP: "pause", signal.SIGCONT: "unpause"}


class DockerKafka:
    """A broker in a container; the same to tests as `tests.faults.kafka.Kafka`.

    Parameters
    ----------
    settings
        Broker settings beside our own.

    Raises
    ------
    KafkaUnavailable
        Docker does not run, or has no image and cannot pull it.
    """

    def __init__(self, settings: Mapping[str, object] | None = None) -> None:
        _require_image()
        self.address = f"{HOST}:{free_port()}"
        self._name = f"genrestream-test-{secrets.token_hex(4)}"
        self._exists = False
        self._settings = {
            **SETTINGS,
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": "1@localhost:9093",
            **(settings or {}),
        }

    def start(self) -> None:
        """Start the broker, or start it again with its log, and wait until it serves clients.

        Raises
        ------
        KafkaUnavailable
            It does not start, or not in time.
        """
        if self._exists:
            _docker("start", self._name)
        else:
            variables = [
                f"--env=KAFKA_{name.upper().replace('.', '_')}={value}"
                for name, value in self._settings.items()
            ]
            port = f"--publish={self.address}:9092"
            _docker("run", "--detach", f"--name={self._name}", port, *variables, IMAGE)
            self._exists = True
        deadline = time.monotonic() + _START_SECONDS
        while not asyncio.run(_serves(self.address)):
            if time.monotonic() > deadline:
                raise KafkaUnavailable(
                    f"Kafka did not start: {_docker('logs', self._name)[-2000:]}"
                )

    def send_signal(self, number: signal.Signals) -> None:
        """Pause the broker by SIGSTOP, and let it go on by SIGCONT."""
        _docker(_SIGNALS[number], self._name)

    def kill(self) -> None:
        """End the broker as a crash would."""
        _docker("kill", self._name)

    def stop(self) -> None:
        """Remove the broker and its log."""
        if self._exists:
            _docker("rm", "--force", "--volumes", self._name)


def _require_image() -> None:
    _docker("info")
    try:
        _docker("image", "inspect", IMAGE)
    except KafkaUnavailable:
        _docker("pull", "--quiet", IMAGE, seconds=_PULL_SECONDS)


def _docker(*arguments: str, seconds: float = _COMMAND_SECONDS) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=seconds, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise KafkaUnavailable(f"docker {arguments[0]}: {error}") from error
    if done.returncode:
        raise KafkaUnavailable(f"docker {arguments[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


async def _serves(address: str) -> bool:
    """Tell whether a broker answers: Docker accepts connections before it does."""
    client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=2000)
    try:
        await client.start()
    except (KafkaError, OSError):
        return False
    else:
        return True
    finally:
        await client.close()
