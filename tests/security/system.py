"""All services on a broker with rights, each as compose runs it."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.kafka.embedded_broker import free_port
from terminal.processes import die_with_parent
from tests.broker.observing import Port
from tests.gateway.serving import Client
from tests.notifier.webhook import Webhook
from tests.receiver.servers import RadioServer
from tests.security.compose_kafka import ComposeKafka

SERVICES: Final = ("extractor", "classifier", "receiver", "gateway", "recorder", "notifier")
TOKEN: Final = "a-token-of-the-page"  # noqa: S105 - of a page that lives for a test
RULES: Final = """
channels:
  ops: {{webhook: "{url}"}}
rules:
  - {{name: on-air, event: connected, send: ops}}
"""


class Station:
    """A station on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.server = RadioServer()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(60)


class System:
    """All services, each as compose runs it, and what they write to."""

    def __init__(self, kafka: ComposeKafka, folder: Path, hook: Webhook) -> None:
        self.kafka = kafka
        self.hook = hook
        self.folder = folder
        self.database = folder / "history.db"
        self.lag = Port(free_port())
        self.gateway = Client(f"http://127.0.0.1:{free_port()}")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.logs = {name: folder / f"{name}.log" for name in (*SERVICES, "lag")}

    def environment(self, service: str) -> dict[str, str]:
        own: dict[str, dict[str, str]] = {
            "classifier": {"GENRESTREAM_HEADS": "tags-musicnn-200-int8"},
            "gateway": {
                "GENRESTREAM_GATEWAY_HOST": "127.0.0.1",
                "GENRESTREAM_GATEWAY_PORT": self.gateway.address.rpartition(":")[2],
                "GENRESTREAM_TOKEN": TOKEN,
            },
            "recorder": {"GENRESTREAM_DATABASE_URL": f"sqlite:///{self.database}"},
            "notifier": {"GENRESTREAM_RULES": str(self.folder / "rules.yaml")},
            "lag": {"GENRESTREAM_HTTP_PORT": str(self.lag.number)},
        }
        return self.kafka.service(service) | own.get(service, {})

    @contextmanager
    def running(self) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
        (self.folder / "rules.yaml").write_text(RULES.format(url=self.hook.url))
        processes = {
            name: self._start(name, ["lag", "--serve"] if name == "lag" else ["worker", name])
            for name in self.logs
        }
        try:
            yield processes
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.wait(20)

    def _start(self, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
        with self.logs[name].open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "services.cli", *command],
                env={**os.environ, **self.environment(name)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
