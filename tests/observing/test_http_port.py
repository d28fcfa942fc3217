"""The port answers whoever asks, whatever others do with their connections."""

import contextlib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, Counter

from schemas.errors import SettingsError
from services.kafka.embedded_broker import free_port
from services.observing import http_port
from services.observing.http_port import Answer, serve
from services.settings import Settings, load_settings


@pytest.fixture(scope="module")
def served() -> Settings:
    settings = load_settings(http_port=free_port())
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry).inc(3)
    probes = {
        "/healthz": lambda: Answer(True, "alive"),
        "/readyz": lambda: Answer(False, "not yet"),
        "/busy": _busy,
    }
    serve(settings, registry, probes)
    return settings


def _busy() -> Answer:
    """Hold the loop of the port, so that connections wait to be taken all at once."""
    time.sleep(0.5)
    return Answer(True, "done")


@pytest.fixture
def slow_sockets(served: Settings) -> Iterator[list[socket.socket]]:
    """Open many connections that never end their request."""
    sockets = []
    for _ in range(4 * http_port.MAX_CONNECTIONS):
        one = socket.create_connection((served.http_host, served.http_port), timeout=5)
        one.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        sockets.append(one)
    yield sockets
    for one in sockets:
        one.close()


def get(settings: Settings, path: str) -> tuple[int, str]:
    url = f"http://{settings.http_host}:{settings.http_port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_and_probes(served: Settings) -> None:
    assert get(served, "/healthz") == (200, "alive\n")
    assert get(served, "/readyz") == (503, "not yet\n")
    status, text = get(served, "/metrics")
    assert status == 200
    assert "things_total 3.0" in text
    assert get(served, "/other?x=1") == (404, "here are /metrics, /healthz, /readyz, /busy\n")


def test_slow_connections_keep_nobody_out(
    served: Settings, slow_sockets: list[socket.socket]
) -> None:
    before = time.process_time()
    for _ in range(20):
        assert get(served, "/healthz") == (200, "alive\n")
    assert time.process_time() - before < 2.0
    oldest = slow_sockets[0]
    oldest.settimeout(5)
    with contextlib.suppress(ConnectionResetError):
        assert oldest.recv(1000) == b""


def test_connections_taken_in_one_turn_make_room_too(served: Settings) -> None:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        held = pool.submit(get, served, "/busy")
        time.sleep(0.2)
        sockets = [
            stack.enter_context(
                socket.create_connection((served.http_host, served.http_port), timeout=5)
            )
            for _ in range(http_port.MAX_CONNECTIONS + 20)
        ]
        assert held.result() == (200, "done\n")
        for one in sockets[:20]:
            one.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1000) == b""


def test_a_connection_has_a_deadline(served: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_port, "CONNECTION_SECONDS", 0.2)
    with socket.create_connection((served.http_host, served.http_port), timeout=5) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(1000) == b""


def test_an_endless_header_is_refused(served: Settings) -> None:
    with socket.create_connection((served.http_host, served.http_port), timeout=5) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 20_000)
        assert b" 400 " in one.recv(100)


def test_a_port_in_use_is_named(served: Settings) -> None:
    with pytest.raises(
        SettingsError, match=f"GENRESTREAM_HTTP_PORT={served.http_port} on .*in use"
    ):
        serve(served, CollectorRegistry(), {})
