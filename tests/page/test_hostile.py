"""Clients that mean harm, on a real gateway: a clear problem, bounded memory, nothing let in."""

import asyncio
import base64
import http.client
import itertools
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from benchmarks.radio_scene import cast
from schemas import encode_event
from services.kafka.embedded_broker import embedded_broker
from services.settings import Settings
from tests.broker.harness import Message, fresh_settings, send
from tests.gateway.serving import Client, running_gateway
from tests.page.test_page import wait

pytestmark = [pytest.mark.page, pytest.mark.timeout(300)]
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


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with embedded_broker() as address:
        yield address


def settings_of(address: str, prefix: str, **more: Any) -> Settings:
    """Return settings whose topics exist; Playwright's loop may run in our thread."""
    settings: Settings = in_thread(lambda: fresh_settings(address, prefix, **more))
    return settings


def in_thread(work: Callable[[], Any]) -> Any:
    """Do work in a thread of its own, and wait for it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


@pytest.fixture(scope="module")
def gateway(broker: str) -> Iterator[Gateway]:
    settings = settings_of(broker, "hostile.", token=TOKEN)
    with running_gateway(settings) as (client, workers):
        yield Gateway(client, workers["gateway"].pid)


@pytest.fixture(autouse=True)
def _well_afterwards(gateway: Gateway) -> Iterator[None]:
    yield
    gateway.assert_well()


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


@pytest.mark.parametrize("path", ["/api/classify", "/api/streams/x"])
def test_two_gigabytes_are_refused_by_their_length(gateway: Gateway, path: str) -> None:
    answer = gateway.send(head("POST", path, Content_Length=2 << 30, Content_Type="audio/wav"))
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert problem(answer) == "too-large"


def wav_of(size: int) -> Iterator[bytes]:
    """Yield a WAV of silence in parts."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 22_050, 44_100, 2, 16)
    yield b"RIFF" + struct.pack("<I", size) + b"WAVE" + form + b"data" + struct.pack("<I", size)
    yield from itertools.repeat(bytes(MEGABYTE), size // MEGABYTE)


def send_until_answered(
    gateway: Gateway, start: bytes, parts: Iterator[bytes], count: int
) -> tuple[int, bytes]:
    """Send parts until an answer comes, as curl does; return how many were sent, and the answer."""
    sent = 0
    with gateway.connect() as connection:
        connection.sendall(start)
        for part in itertools.islice(parts, count):
            if select.select([connection], [], [], 0)[0]:
                break
            connection.sendall(part)
            sent += 1
            if sent % 16 == 0:
                assert gateway.memory_mb() < MAX_MEMORY_MB
        return sent, read_all(connection)


def test_two_gigabytes_without_a_length_end_at_the_limit(gateway: Gateway) -> None:
    start = head("POST", "/api/classify", Transfer_Encoding="chunked")
    parts = (b"%x\r\n%b\r\n" % (len(part), part) for part in wav_of(2 << 30))
    sent, answer = send_until_answered(gateway, start, parts, 3000)
    assert 500 <= sent < 600
    assert problem(answer) == "too-large"


@pytest.mark.parametrize("path", ["/api/classify", "/api/streams/elf"])
def test_the_wrong_type_is_refused_before_all_of_it_is_sent(gateway: Gateway, path: str) -> None:
    start = head("POST", path, Content_Length=400 * MEGABYTE)
    parts = itertools.repeat(b"\x7fELF" * (MEGABYTE // 4))
    sent, answer = send_until_answered(gateway, start, parts, 400)
    assert sent < 400
    assert problem(answer) == "not-audio"


def test_who_goes_on_sending_after_the_answer_is_cut_off(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        connection.sendall(head("POST", "/api/classify", Content_Length=2 << 30))
        sent = 0
        with suppress(OSError):
            for sent in range(2 << 10):  # noqa: B007 - that is what is asked
                connection.sendall(bytes(MEGABYTE))
        assert sent < 200


def test_uploads_that_trickle_end_and_hold_up_nobody(gateway: Gateway) -> None:
    with ExitStack() as open_ones:
        trickles = []
        for number in range(8):
            connection = open_ones.enter_context(gateway.connect())
            connection.sendall(head("POST", f"/api/streams/t{number}", Content_Length=MEGABYTE))
            trickles.append(connection)
        for _ in range(31):
            for connection in trickles:
                with suppress(OSError):
                    connection.sendall(b"R")
            time.sleep(1)
        answers = [read_all(connection) for connection in trickles]
    assert {problem(answer) for answer in answers} == {"upload-slow"}


def test_ten_thousand_connections_leave_room_for_others(gateway: Gateway) -> None:
    with ExitStack() as open_ones:
        for _ in range(10_000):
            with suppress(OSError):
                open_ones.enter_context(gateway.connect())
        assert gateway.memory_mb() < MAX_MEMORY_MB
        deadline = time.monotonic() + 30
        while True:  # those that say nothing are cut off after ten seconds
            with suppress(OSError, http.client.HTTPException):
                if gateway.client("GET", "/healthz").status == 200:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_half_open_sockets_are_cut_off(gateway: Gateway) -> None:
    starts = [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01\x02\x00\x01"]
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(gateway.connect()) for _ in starts]
        for connection, start in zip(connections, starts, strict=True):
            connection.sendall(start)
        began = time.monotonic()
        for connection in connections:
            read_all(connection)
        assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "headers",
    [
        b"x-bomb: " + b"y" * MEGABYTE + b"\r\n",
        b"".join(b"x-%d: y\r\n" % n for n in range(50_000)),
        b"cookie: " + b"a=b;" * 100_000 + b"\r\n",
        b"last-event-id: " + b"A" * 100_000 + b"\r\n",
    ],
)
def test_headers_that_are_bombs_are_refused(gateway: Gateway, headers: bytes) -> None:
    answer = gateway.send(b"GET /api/now HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 1000,
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/classify HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(gateway: Gateway, sent: bytes) -> None:
    answer = gateway.send(sent)
    assert answer == b"" or answer[9:10] == b"4", answer[:100]


def forged() -> list[str]:
    """Return ids of events that the gateway never gave."""
    rest = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f" * 16
    return [
        "-1",
        "0",
        "A" * 4000,
        "A" * 20_000,
        "../../etc/passwd",
        base64.urlsafe_b64encode(rest).decode(),
        "<script>alert(1)</script>",
        "%00",
    ]


@pytest.mark.parametrize("event_id", forged())
def test_a_forged_place_is_refused(gateway: Gateway, event_id: str) -> None:
    answer = gateway.client("GET", "/api/events", headers={**KEY, "Last-Event-ID": event_id})
    assert answer.json()["type"].endswith("bad-cursor")


def test_a_place_in_the_future_gets_a_reset(gateway: Gateway) -> None:
    cursor = gateway.client("GET", "/api/board", headers=KEY).json()["cursor"]
    data = base64.urlsafe_b64decode(cursor + "==")[:2]
    ahead = base64.urlsafe_b64encode(data + b"\xff\xff\x7f" * 16).decode().rstrip("=")
    connection = gateway.http()
    connection.request("GET", "/api/events", headers={**KEY, "Last-Event-ID": ahead})
    response, text = connection.getresponse(), b""
    assert response.status == 200
    while b'"reset"' not in text:
        text += response.readline()
    connection.close()


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


def frame(opcode: int, data: bytes, *, masked: bool = True) -> bytes:
    size = len(data)
    length = b"\x7f" + struct.pack(">Q", size)
    first = bytes([0x80 | opcode])
    if not masked:
        return first + length + data
    return first + bytes([length[0] | 0x80]) + length[1:] + bytes(4) + data


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(os.urandom(5000), id="noise"),
        pytest.param(frame(2, bytes(2 * MEGABYTE)), id="too long"),
        pytest.param(frame(2, bytes(100), masked=False), id="not masked"),
        pytest.param(frame(1, b"\xff\xfe"), id="no UTF-8"),
        pytest.param(frame(1, b"hello"), id="text"),
        pytest.param(frame(7, b""), id="no such opcode"),
        pytest.param(frame(2, bytes(900_000)) * 20, id="faster than sound"),
        pytest.param(b"\xc2\x80\x00\x00\x00\x00", id="compressed without leave"),
    ],
)
def test_a_socket_that_talks_garbage_is_closed(gateway: Gateway, sent: bytes) -> None:
    connection, answer = shake(gateway)
    assert b" 101 " in answer.split(b"\r\n")[0]
    with connection, suppress(OSError):
        connection.sendall(sent)
        connection.settimeout(10)
        read_all(connection)  # ends, or the time is over and the next line fails
    deadline = time.monotonic() + 10
    while gateway.client("GET", "/api/health", headers=KEY).json()["sending"]:
        assert time.monotonic() < deadline, "it is still held"
        time.sleep(0.1)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://x.evil.example"])
def test_a_socket_from_another_site_is_refused(gateway: Gateway, origin: str) -> None:
    connection, answer = shake(gateway, Origin=origin)
    connection.close()
    assert b" 403 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/classify"),
        ("POST", "/api/streams/x"),
        ("PUT", "/api/stations/x"),
        ("DELETE", "/api/stations/x"),
        ("POST", "/api/session"),
        ("DELETE", "/api/session"),
    ],
)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://x"])
def test_another_site_changes_nothing(
    gateway: Gateway, method: str, path: str, origin: str
) -> None:
    body = json.dumps({"token": TOKEN}).encode()
    asked = gateway.client(method, path, body, {**KEY, "Origin": origin, "Host": "y"})
    assert asked.json()["type"].endswith("cross-site")
    assert "access-control-allow-origin" not in asked.headers


def test_guessing_the_token_ends(broker: str) -> None:
    settings = settings_of(broker, "guess.", token=TOKEN)
    with running_gateway(settings) as (client, _):
        codes = [
            client("GET", "/api/now", headers={"Authorization": f"Bearer {n:016}"}).status
            for n in range(40)
        ]
        body = json.dumps({"token": "0" * 16}).encode()
        assert client("POST", "/api/session", body).status == 429
    assert codes == [401] * 10 + [429] * 30


HTML = "<img src=x onerror=\"alert('xss')\"><script>alert(1)</script>'\"&amp;"


def test_names_titles_and_labels_are_text_and_no_html(broker: str, browser: Any) -> None:
    settings = settings_of(broker, "html.")
    player = cast(1)[0]
    player.station = replace(player.station, name=HTML, tags=(HTML,))
    player.labels = (HTML,)
    now_ms = round(time.time() * 1000)
    events = [
        player._event("title", now_ms - 5000, title=HTML),
        player._event("lost", now_ms - 4000, reason="timeout", message=HTML),
    ]
    segments = list(player.segments(now_ms - 7_200_000, now_ms - 3000))
    _, heard = player.prediction(now_ms - 3000)
    key = player.station.id.encode()
    messages = [Message(encode_event(player.station), key, topic="stations")]
    messages += [Message(encode_event(event), key, topic="station.events") for event in events]
    messages += [Message(encode_event(s), key, topic="genre.segments") for s in segments]
    stream = replace(heard, stream_id=HTML, event_id="of a stream")
    messages += [
        Message(encode_event(found), found.stream_id.encode(), topic="genre.predictions")
        for found in (heard, stream)
    ]
    in_thread(lambda: asyncio.run(send(settings, messages)))
    with running_gateway(settings) as (client, _):
        page = browser.new_page()
        said: list[str] = []
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.goto(client.address + "/")
        wait(page, "document.querySelectorAll('#rows .row').length === 2")
        assert page.locator("#rows .row").count() == 2
        page.locator("#rows .row[data-state=lost]").click()
        for part in ("h2", ".say"):
            wait(page, f"/<img src=x/.test(document.querySelector('#station {part}')?.innerText)")
        listed = "[...document.querySelectorAll('#station ol')].map((list) => list.innerText)"
        wait(page, f"{listed}.filter((text) => text.includes('<img src=x')).length >= 4")
        assert page.locator("main img, main script").count() == 0
        assert said == []
        page.close()
