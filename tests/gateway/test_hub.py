"""Readers of events: each gets all, and one that does not read holds up nobody."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.events import Event
from services.gateway.hub import READER_BYTES, Hub, Reader, Selection, chunk

EVERYTHING = Selection(frozenset({"now"}))
PLACE = ("predictions", 0)


class Connection:
    """Takes what is written; a stalled one keeps it."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.stalled = stalled
        self.written = b""
        self.closed = False

    def get_write_buffer_size(self) -> int:
        return len(self.written) if self.stalled else 0

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


def _reader(connection: Connection, *, chunked: bool = False) -> Reader:
    transport: Any = connection
    return Reader(transport, chunked=chunked)


def _run(work: Callable[[Hub], Any]) -> list[str]:
    """Do something with a hub, let its tick pass, and return whom it dropped."""
    dropped: list[str] = []

    async def go() -> None:
        hub = Hub(dropped.append)
        hub.begin({PLACE: 0})
        for step in work(hub):
            step()
            hub._flush()
        hub.close("restart")

    asyncio.run(go())
    return dropped


def _event(size: int) -> Event:
    return Event("now", "s", b"x" * size)


def test_a_reader_that_does_not_read_is_dropped_with_a_reason_and_harms_nobody() -> None:
    good, stalled = Connection(), Connection(stalled=True)
    size, count = 64 * 1024, 3 * READER_BYTES // (64 * 1024)

    def work(hub: Hub) -> Any:
        hub.join(EVERYTHING, _reader(good))
        hub.join(EVERYTHING, _reader(stalled))
        for offset in range(count):
            yield lambda offset=offset: hub.publish(PLACE, offset, [_event(size)])
        assert hub.readers == 1

    assert _run(work) == ["slow"]
    assert good.written.count(b"event: now") == count
    assert READER_BYTES < len(stalled.written) < READER_BYTES + 2 * size
    assert stalled.written.rstrip().endswith(b'connect again with Last-Event-ID"}')
    assert stalled.closed


@pytest.mark.parametrize("chunked", [True, False])
def test_what_is_written_is_framed_as_the_version_of_http_has_it(chunked: bool) -> None:
    connection = Connection()

    def work(hub: Hub) -> Any:
        hub.join(EVERYTHING, _reader(connection, chunked=chunked))
        yield lambda: hub.publish(PLACE, 0, [_event(3)])

    _run(work)
    frames = connection.written
    if chunked:
        frames = b""
        rest = connection.written
        while rest:
            head, _, rest = rest.partition(b"\r\n")
            frames, rest = frames + rest[: int(head, 16)], rest[int(head, 16) + 2 :]
    assert frames.count(b"event: now\ndata: xxx\n\n") == 1
    assert b'"reason":"restart"' in frames


def test_a_chunk() -> None:
    assert chunk(b"abc" * 10) == b"1e\r\n" + b"abc" * 10 + b"\r\n"


def test_joining_gets_nothing_twice_and_misses_nothing() -> None:
    connection = Connection()

    def work(hub: Hub) -> Any:
        hub.join(EVERYTHING, _reader(Connection()))

        def joins_between() -> None:
            hub.publish(PLACE, 0, [_event(1)])
            late = b"".join(hub.kept({PLACE: 0}, EVERYTHING))
            hub.join(EVERYTHING, _reader(connection))
            connection.write(late)
            hub.publish(PLACE, 1, [_event(2)])

        yield joins_between

    _run(work)
    assert connection.written.count(b"data: x\n") == 1
    assert connection.written.count(b"data: xx\n") == 1


def test_the_last_event_of_a_message_alone_says_that_all_of_it_was_sent() -> None:
    connection = Connection()
    page = Selection(frozenset({"row", "now"}))

    def work(hub: Hub) -> Any:
        hub.join(page, _reader(connection))
        events = [Event(kind, "s", b"{}") for kind in ("row", "now", "prediction")]
        yield lambda: hub.publish(PLACE, 0, events)
        kept = b"".join(hub.kept({PLACE: 0}, page))
        assert connection.written == kept

    _run(work)
    first, second = connection.written.split(b"\n\n")[:2]
    assert first.startswith(b"event: row")
    assert second.startswith(b"id: ")
    assert b"event: now" in second
