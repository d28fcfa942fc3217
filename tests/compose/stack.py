"""The stack of docker-compose.yml in containers, and what is done to it."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from services.kafka.embedded_broker import free_port
from tests.compose.images import ROOT, build_ours, docker, docker_output, kafka_image
from tests.faults.harness import Crew

SERVICES: Final = ("extractor", "classifier")
UP_SECONDS: Final = 300.0
#: A container's first process reaps and forwards signals; its child does the work.
_KILL_CHILD: Final = "kill -9 $(cat /proc/1/task/1/children)"
_GET: Final = (
    "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
)


@dataclass(frozen=True)
class Stack:
    """A running project of compose.

    Attributes
    ----------
    files
        The compose files.
    environment
        Variables that they read.
    """

    project: str
    files: Sequence[str]
    environment: dict[str, str]

    @property
    def brokers(self) -> str:
        """Address of the broker from outside of the containers."""
        return f"localhost:{self.environment['KAFKA_PORT']}"

    def compose(
        self, *arguments: str, seconds: float = 60.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run docker compose on the project."""
        files = [part for name in self.files for part in ("-f", name)]
        done = subprocess.run(
            ["docker", "compose", "-p", self.project, *files, *arguments],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"compose {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done

    def up(self, *arguments: str) -> None:
        """Start what does not run, and wait until it is healthy."""
        done = self.compose("up", "--wait", *arguments, seconds=UP_SECONDS, check=False)
        assert done.returncode == 0, f"{done.stderr[-2000:]}\n{self.logs()[-6000:]}"

    def logs(self) -> str:
        """Return what all containers have written.

        Compose's own command shows those of ended ones alone, with some versions of the engine.
        """
        return "\n".join(docker_output("logs", container) for container in self.containers())

    def containers(self, *services: str) -> list[str]:
        """Return the ids of the services' containers, in the order of their names."""
        lines = self.compose("ps", "--all", "--format", "json", *services).stdout.splitlines()
        found = sorted((json.loads(line) for line in lines), key=lambda c: c["Name"])
        return [container["ID"] for container in found]

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        found: dict[str, Any] = json.loads(docker("inspect", container))[0]
        return found

    def is_healthy(self, container: str) -> bool:
        """Tell whether a container runs, and its health check is content."""
        state = self.inspect(container)["State"]
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")

    def kill(self, container: str) -> None:
        """Kill the process inside of a container as the kernel does when memory is short."""
        docker("exec", container, "sh", "-c", _KILL_CHILD, check=False)

    def get(self, container: str, path: str) -> str:
        """Return what a worker answers on its port."""
        url = f"http://127.0.0.1:9464{path}"
        return docker("exec", container, "python", "-c", _GET, url)

    def total(
        self, service: str, name: str, combine: Callable[[list[float]], float] = sum
    ) -> float:
        """Return a metric over all containers of a service."""
        texts = [self.get(container, "/metrics") for container in self.containers(service)]
        return combine(
            [
                sample.value
                for text in texts
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name == name
            ]
        )


class ContainerCrew(Crew):
    """The containers of both services; the engine starts again what is killed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._containers = {
            f"{service}-{i}": container
            for service in SERVICES
            for i, container in enumerate(stack.containers(service))
        }
        self.names = list(self._containers)
        self.exits = []
        self.processes = {}

    def send(self, name: str, number: signal.Signals) -> None:
        """Kill a worker."""
        assert number is signal.SIGKILL
        self._stack.kill(self._containers[name])

    async def restart(self, name: str, number: signal.Signals) -> int:
        """Kill a worker, and see that the engine starts it again."""
        container = self._containers[name]
        before = self._stack.inspect(container)["RestartCount"]
        self.send(name, number)

        def is_back() -> bool:
            return bool(self._stack.inspect(container)["RestartCount"] > before)

        await asyncio.to_thread(wait_for, is_back, 60)
        return -number

    def revive(self) -> None:
        """Leave it to the engine."""

    def stop(self) -> None:
        """Leave them to the next test."""


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition of containers, or fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.5)


@contextmanager
def running_stack(project: str, *overrides: str, **variables: str) -> Iterator[Stack]:
    """Bring the stack up; take it down with its volumes at the end."""
    environment = {
        "WORKER_IMAGE": build_ours(),
        "KAFKA_IMAGE": kafka_image(),
        "KAFKA_PORT": str(free_port()),
        "GENRESTREAM_IDLE_TIMEOUT_SECONDS": "3600",
        **variables,
    }
    stack = Stack(project, ["docker-compose.yml", *overrides], environment)
    try:
        stack.up()
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5", seconds=UP_SECONDS, check=False)
