"""What `produce` says while a broker takes nothing, and when it never does."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from schemas import AudioChunk
from services.commands import produce
from services.commands.produce import _Sender
from services.kafka.errors import DeliveryError
from services.settings import load_settings

_CHUNK = AudioChunk(b"fLaC", "a")


class _Producer:
    """A producer whose broker is away: futures that the test ends, or nobody does."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[object]] = []

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[object]:
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


@pytest.fixture
def remarks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said = list[str]()
    monkeypatch.setattr(produce, "_remark", said.append)
    return said


def _sender(producer: _Producer) -> _Sender:
    return _Sender(producer, load_settings(), True, None)


def test_a_failed_delivery_ends_it_at_the_next_chunk() -> None:
    async def work() -> None:
        producer = _Producer()
        sender = _sender(producer)
        await sender._send(_CHUNK)
        producer.futures[0].set_exception(ConnectionError("gone"))
        await asyncio.sleep(0)
        await sender._send(_CHUNK)

    with pytest.raises(DeliveryError, match="gone"):
        asyncio.run(work())


@pytest.mark.parametrize(("waited", "expected"), [(9.0, 0), (11.0, 1)])
def test_it_says_once_that_chunks_wait(
    waited: float, expected: int, remarks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    clock: Callable[[], float] = lambda: now  # noqa: E731
    monkeypatch.setattr("services.commands.produce.time.monotonic", clock)

    async def work() -> None:
        nonlocal now
        sender = _sender(_Producer())
        await sender._send(_CHUNK)
        now += waited
        await sender._send(_CHUNK)
        await sender._send(_CHUNK)

    asyncio.run(work())
    assert len(remarks) == expected
    assert all("1 chunk(s) wait" in text and "120 s" in text for text in remarks)
