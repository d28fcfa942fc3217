"""``genrestream up --stations`` with icecast, liquidsoap, HLS, SRT and RTSP: labels and titles."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from schemas import GenrePrediction, StationEvent, decode_event
from services.kafka.clients import TopicReader
from services.kafka.embedded_broker import free_port
from services.kafka.topics import Topics
from services.settings import load_settings
from tests.broker.shell import children
from tests.radio import peers
from tests.radio.material import music, run
from tests.receiver.test_moving import _is_running

MISSING = peers.missing_peers()
pytestmark = [
    pytest.mark.radio,
    pytest.mark.broker,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

TRACK_SECONDS = 20
#: From the moment at which the system says that it is up, and stations are applied.
LABEL_SECONDS = 20.0
TITLED = ("mp3", "aac", "vorbis", "opus", "flac", "list")
OTHERS = ("hls-ts", "hls-fmp4", "srt", "rtsp")
TITLES = {"Eins - First", "Zwölf - Second"}


@dataclass
class Heard:
    """When each station had its first label, and its titles."""

    labels: dict[str, float] = field(default_factory=dict)
    titles: dict[str, set[str]] = field(default_factory=dict)
    lost: list[StationEvent] = field(default_factory=list)

    async def follow(self, reader: TopicReader) -> None:
        async for record in reader.messages():
            if record.topic.endswith("station.events"):
                self._take(decode_event(record.value, StationEvent))
            else:
                prediction = decode_event(record.value, GenrePrediction)
                self.labels.setdefault(prediction.stream_id, time.monotonic())

    def _take(self, event: StationEvent) -> None:
        if event.title:
            self.titles.setdefault(event.station_id, set()).add(event.title)
        if event.kind in ("lost", "refused"):
            self.lost.append(event)

    async def until_complete(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while len(self.labels) < len(TITLED + OTHERS) or any(
                self.titles.get(name, set()) != TITLES for name in TITLED
            ):
                await asyncio.sleep(0.1)


def _tracks(folder: Path) -> list[tuple[str, str, Path]]:
    """Return two tracks: real ones where they are at hand, else sweeps and noise."""
    data = Path(__file__).parents[3] / "shared/data/open_music"
    real = sorted(path for path in data.glob("*.ogg") if path.stat().st_size > 300_000)[:2]
    paths = []
    for number in range(2):
        path = folder / f"{number}.wav"
        if len(real) == 2:
            run("-y", "-t", str(TRACK_SECONDS), "-i", str(real[number]), "-ac", "2", str(path))
        else:
            music(path, TRACK_SECONDS)
        paths.append(path)
    return [("Eins", "First", paths[0]), ("Zwölf", "Second", paths[1])]


@pytest.fixture
def radios(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Addresses of all peers but RTSP, by the station's id."""
    tracks = _tracks(tmp_path)
    with ExitStack() as running:
        port = running.enter_context(peers.icecast(tmp_path))
        running.enter_context(peers.liquidsoap(tmp_path, port, tracks))
        web = running.enter_context(peers.hls(tmp_path / "web", tracks[0][2]))
        address = f"http://127.0.0.1:{port}"
        (tmp_path / "web" / "radio.pls").write_text(f"[playlist]\nFile1={address}/mp3\n")
        yield {
            "mp3": f"{address}/mp3",
            "aac": f"{address}/aac",
            "vorbis": f"{address}/vorbis.ogg",
            "opus": f"{address}/opus.ogg",
            "flac": f"{address}/flac.ogg",
            "list": f"{web}/radio.pls",
            "hls-ts": f"{web}/mpegts/live.m3u8",
            "hls-fmp4": f"{web}/fmp4/live.m3u8",
            "srt": running.enter_context(peers.srt(tracks[0][2])),
        }


def test_labels_and_titles_of_every_station(radios: dict[str, str], tmp_path: Path) -> None:
    asyncio.run(_work(radios, tmp_path))


async def _work(radios: dict[str, str], folder: Path) -> None:
    async with peers.rtsp("me", "s3cret") as address:
        stations = folder / "stations.yaml"
        lines = [f"- id: {k}\n  url: {u}\n" for k, u in {**radios, "rtsp": address}.items()]
        stations.write_text("".join(lines))
        port, page = free_port(), free_port()
        arguments = ["up", "--port", str(port), "--stations", str(stations)]
        with (folder / "up.log").open("wb") as log:
            up = subprocess.Popen(
                [sys.executable, "-m", "services.cli", *arguments],
                env={**os.environ, "GENRESTREAM_GATEWAY_PORT": str(page)},
                stderr=log,
            )
        try:
            await _follow(up, port, folder / "up.log")
        except BaseException:
            print((folder / "up.log").read_text())  # noqa: T201 - shown when it fails
            raise
        finally:
            up.kill()
            up.wait()
        text = (folder / "up.log").read_text()
        assert f"http://localhost:{page}" in text
        assert "s3cret" not in text


async def _follow(up: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait until it is up, follow its topics, and stop it by SIGTERM."""
    async with asyncio.timeout(60.0):
        while "genrestream is up" not in log.read_text():
            await asyncio.sleep(0.1)
    began, heard = time.monotonic(), Heard()
    settings = load_settings(bootstrap_servers=f"127.0.0.1:{port}")
    topics = Topics("")
    reader = TopicReader(settings, [topics.predictions, topics.station_events])
    await reader.start(from_beginning=True)
    following = asyncio.create_task(heard.follow(reader))
    try:
        await heard.until_complete(4 * TRACK_SECONDS)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await reader.stop()  # before its broker ends
        print({k: round(t - began, 1) for k, t in heard.labels.items()}, heard.titles)  # noqa: T201
    assert "s3cret" not in _command_lines(up.pid)
    offspring = _all_children(up.pid)
    up.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(up.wait, 10.0) == 0
    late = {k: round(t - began, 1) for k, t in heard.labels.items() if t - began > LABEL_SECONDS}
    assert not late, late
    assert not heard.lost
    assert not [pid for pid in offspring if _is_running(pid)]


def _all_children(pid: int) -> list[int]:
    found = children(pid)
    return [*found, *(below for child in found for below in _all_children(child))]


def _command_lines(pid: int) -> str:
    lines = (Path(f"/proc/{child}/cmdline") for child in _all_children(pid))
    return " ".join(line.read_text() for line in lines if line.exists())
