"""Clients that mean harm, on a real gateway: a clear problem, bounded memory, nothing let in."""

import base64
import http.client
import itertools
import os
import select
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.page.hostile import (
    KEY,
    MAX_MEMORY_MB,
    MEGABYTE,
    Gateway,
    head,
    problem,
    read_all,
    shake,
)

pytestmark = [
    pytest.mark.page,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("well_afterwards"),
]


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
