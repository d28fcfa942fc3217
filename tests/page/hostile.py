"""What clients that mean harm are made of, and the gateway that they meet."""

import base64
import http.client
import json
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.gateway.serving import Client

TOKEN = "a-secret-of-some-length"  # noqa: S105 - of this test
KEY = {"Authorization": f"Bearer {TOKEN}"}
MEGABYTE = 1024 * 1024
MAX_MEMORY_MB = 400


class Gateway:
    """A gateway that is ill-treated."""

    def __init__(self, client: Client, pid: int) -> None:
        self.client = client
        self.pid = pid
        self.port = int(client.address.rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def http(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def send(self, data: bytes) -> bytes:
        """Send bytes, and return what comes back until the connection ends."""
        with self.connect() as connection:
            with suppress(OSError):
                connection.sendall(data)
            return read_all(connection)

    def memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def assert_well(self) -> None:
        """Check that it answers at once, and is no larger than it may be."""
        began = time.monotonic()
        assert self.client("GET", "/api/now", headers=KEY).status == 200
        assert time.monotonic() - began < 2
        assert self.memory_mb() < MAX_MEMORY_MB


def read_all(connection: socket.socket) -> bytes:
    data = b""
    with suppress(OSError):
        while part := connection.recv(65536):
            data += part
    return data


def settings_of(address: str, prefix: str, **more: Any) -> Settings:
    """Return settings whose topics exist; Playwright's loop may run in our thread."""
    settings: Settings = in_thread(lambda: fresh_settings(address, prefix, **more))
    return settings


def in_thread(work: Callable[[], Any]) -> Any:
    """Do work in a thread of its own, and wait for it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def problem(answer: bytes) -> str:
    """Return the code of the problem that an answer holds."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer[:300]
    found = json.loads(body)
    assert found["remedy"]
    code: str = found["type"]
    return code.rpartition(":")[2]


def head(method: str, path: str, **headers: object) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def shake(gateway: Gateway, **headers: str) -> tuple[socket.socket, bytes]:
    """Ask for the WebSocket; return the connection and the head of the answer."""
    connection = gateway.connect()
    given = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    given["Sec_WebSocket_Key"] = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(head("GET", "/api/microphone?rate=48000", **given, **headers))
    answer = b""
    while b"\r\n\r\n" not in answer and (part := connection.recv(4096)):
        answer += part
    return connection, answer
