"""A real gateway on a free port, for tests."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from services.kafka.embedded_broker import free_port
from services.settings import Settings
from tests.broker.harness import running_workers


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks a gateway."""

    address: str

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.address + path, body, headers or {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return Answer(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))


@contextmanager
def running_gateway(settings: Settings, *more: str) -> Iterator[tuple[Client, dict[str, Any]]]:
    """Run a gateway, and other services with it; yield it when it is ready."""
    port = free_port()
    settings = settings.model_copy(update={"gateway_port": port})
    with running_workers(settings, "gateway", *more) as workers:
        client = Client(f"http://127.0.0.1:{port}")
        wait_until_ready(client)
        yield client, workers


def wait_until_ready(client: Client, seconds: float = 60.0) -> None:
    """Wait until a gateway answers and has read all."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if client("GET", "/readyz").status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "the gateway is not ready in time"
        time.sleep(0.05)
