"""What a receiver hears equals what ffmpeg decodes from the same bytes, sample for sample."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from features.formats.ffmpeg import ffmpeg_path
from schemas import Station
from services.receiver.reasons import SourceFailed
from services.receiver.receiver import Receiver
from services.receiver.sources import open_source
from tests.radio.material import (
    KINDS,
    LINKS,
    RATE,
    SECONDS,
    SHORT_SECONDS,
    Kind,
    correlation,
    decoded,
    encode,
    music,
    run,
)
from tests.receiver.servers import Ear

pytestmark = [
    pytest.mark.radio,
    pytest.mark.timeout(900),  # at full size, on a busy machine
    pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg"),
]


ENCODED = sorted((Path(__file__).parent / "encoded").glob("*.aac"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "music.wav"
    music(path)
    return path


@asynccontextmanager
async def serving(files: dict[str, tuple[str, bytes]]) -> AsyncIterator[str]:
    """Serve bytes by plain HTTP, as fast as they are taken, and end then."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        name = request.split()[1].decode().lstrip("/")
        kind, body = files.get(name, ("text/plain", b""))
        status = "200 OK" if name in files else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def _hear(url: str) -> tuple[NDArray[np.int16], list[str]]:
    """Read a source to its end."""
    parts, titles = list[bytes](), list[str]()
    async with open_source(Station(id="x", name="x", url=url), titles.append) as heard:
        try:
            while True:
                parts.append(await heard.read())
        except SourceFailed as end:
            assert end.reason.code == "ended", end  # noqa: PT017 - of which kind it is
    return np.frombuffer(b"".join(parts), "<i2"), titles


def _served(files: dict[str, tuple[str, bytes]], name: str) -> tuple[NDArray[np.int16], list[str]]:
    async def work() -> tuple[NDArray[np.int16], list[str]]:
        async with serving(files) as address:
            return await _hear(address + name)

    return asyncio.run(work())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind(kind: Kind, source: Path) -> None:
    links = encode(kind, source)
    expected = decoded(links)
    heard, titles = _served({"live": (kind.content_type, b"".join(links))}, "live")
    assert len(heard) == len(expected)
    assert correlation(heard, expected) > 0.999
    seconds = SECONDS if kind.chained else SHORT_SECONDS
    assert abs(len(heard) / RATE - seconds) < 0.05 * len(links)
    if kind.chained:
        assert titles == [f"Sigur Rós - Track {number}" for number in range(LINKS)]


@pytest.mark.parametrize("path", ENCODED, ids=lambda path: path.stem)
def test_what_ffmpeg_cannot_encode(path: Path) -> None:
    """HE-AAC of `music`, by fdkaac 1.0.0: 5 s, again and again."""
    body = path.read_bytes() * round(SHORT_SECONDS / 5)
    expected = decoded([body])
    heard, _ = _served({"live": ("audio/aacp", body)}, "live")
    assert len(heard) == len(expected) > RATE * SHORT_SECONDS
    assert correlation(heard, expected) > 0.999


@pytest.mark.parametrize("segments", ["mpegts", "fmp4"])
def test_hls(segments: str, source: Path, tmp_path: Path) -> None:
    run(
        *(
            "-t",
            str(SHORT_SECONDS),
            "-i",
            str(source),
            "-c:a",
            "aac",
            "-f",
            "hls",
            "-hls_time",
            "6",
        ),
        *("-hls_segment_type", segments, "-hls_list_size", "0", "-hls_playlist_type", "vod"),
        str(tmp_path / "list.m3u8"),
    )
    files = {path.name: ("", path.read_bytes()) for path in tmp_path.iterdir()}
    master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlist.m3u8\n"
    heard, _ = _served({**files, "live": ("application/x-mpegurl", master)}, "live")
    arguments = ("-i", str(tmp_path / "list.m3u8"), "-ac", "1", "-ar", str(RATE))
    expected = np.frombuffer(run(*arguments, "-f", "s16le", "pipe:1"), "<i2")
    assert len(files) > SHORT_SECONDS / 6
    assert len(heard) == len(expected)
    assert correlation(heard, expected) > 0.999


def test_no_sample_is_lost_between_chunks(source: Path) -> None:
    """Hear 90 s at ten times the speed, by a clock that runs ten times as fast."""
    kind = KINDS[0]
    start, began = time.time(), time.monotonic()

    def fast() -> float:
        return 10.0 * (time.monotonic() - began)

    async def work() -> Ear:
        ear = Ear()
        station = Station(id="x", name="x", url="")
        async with serving({"live": (kind.content_type, encode(kind, source)[0])}) as address:
            station = Station(id="x", name="x", url=address + "live")
            receiver = Receiver(station, ear, monotonic=fast, wall=lambda: start + fast())
            task = asyncio.create_task(receiver.run())
            await ear.until(lambda: len(ear.chunks) >= 30, 60.0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return ear

    ear = asyncio.run(work())
    chunks = ear.chunks[:30]
    heard = np.concatenate([_samples(chunk.data) for chunk in chunks])
    assert np.array_equal(heard, decoded(encode(kind, source))[: len(heard)])
    _assert_seamless([chunk.captured_at or 0 for chunk in chunks])
    first = chunks[0].sequence or 0
    assert [chunk.sequence for chunk in chunks] == list(range(first, first + 30))


def _samples(data: bytes) -> NDArray[np.int16]:
    samples: NDArray[np.int16] = soundfile.read(io.BytesIO(data), dtype="int16")[0]
    return samples


def _assert_seamless(times: Sequence[int]) -> None:
    steps = np.diff(times)
    assert np.abs(steps - 3000).max() <= 30
