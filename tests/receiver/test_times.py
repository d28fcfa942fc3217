"""The times of chunks around what a connection skipped, by a clock and a source of ours."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import soundfile

from schemas import AudioChunk, Station
from services.receiver.reasons import failed
from services.receiver.receiver import Receiver
from services.receiver.sources import Found
from tests.receiver.servers import Ear

RATE = 22_050
BLOCK_SECONDS = 0.66


class _Source:
    """Blocks of sound, each at its time; then the stream ends."""

    def __init__(self, arrivals: list[float], move: Callable[[float], None]) -> None:
        self.found = Found()
        self.decoder = None
        self._arrivals = iter(arrivals)
        self._move = move

    async def read(self) -> bytes:
        at = next(self._arrivals, None)
        if at is None:
            raise failed("ended")
        self._move(at)
        self.found.received += 10_000
        return np.full(round(BLOCK_SECONDS * RATE), 1000, "<i2").tobytes()


def _chunks(arrivals: list[float]) -> list[AudioChunk]:
    ear, now = Ear(), 0.0

    def move(at: float) -> None:
        nonlocal now
        now = at

    @asynccontextmanager
    async def open_source(*_: Any, **__: Any) -> AsyncIterator[_Source]:
        yield _Source(arrivals, move)

    async def work() -> None:
        receiver = Receiver(
            Station(id="x", name="x", url="http://x"),
            ear,
            open_source=open_source,  # type: ignore[arg-type]
            monotonic=lambda: now,
            wall=lambda: 1e9 + now,
        )
        await receiver._attempt()

    asyncio.run(work())
    return ear.chunks


def _span(chunk: AudioChunk) -> tuple[float, float]:
    start = (chunk.captured_at or 0) / 1000 - 1e9
    return start, start + soundfile.info(io.BytesIO(chunk.data)).duration


def _arrivals(blocks: int, late_from: float, late: float) -> list[float]:
    times = [BLOCK_SECONDS * number for number in range(1, blocks + 1)]
    return [at + (late if at > late_from else 0.0) for at in times]


def test_what_was_skipped_lies_between_two_chunks() -> None:
    spans = [_span(chunk) for chunk in _chunks(_arrivals(60, 20.0, 6.0))]
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(spans)]
    assert min(gaps) > -0.01
    assert max(gaps) == pytest.approx(6.0, abs=0.05)
    assert sum(gaps) == pytest.approx(6.0, abs=0.05)


def test_no_chunk_of_a_connection_that_is_too_slow_ends_after_its_audio() -> None:
    arrivals = [1.3 * BLOCK_SECONDS * number for number in range(1, 60)]
    spans = [_span(chunk) for chunk in _chunks(arrivals)]
    assert min(later[0] - earlier[1] for earlier, later in pairwise(spans)) > -0.01
    heard = sum(end - start for start, end in spans)
    assert spans[-1][1] == pytest.approx(heard, abs=0.7)
