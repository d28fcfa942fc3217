"""Receivers that share stations: one is killed, or stopped and continued."""

import asyncio
import os
import signal
import subprocess
from collections import defaultdict
from itertools import pairwise

import pytest

from features.formats.ffmpeg import ffmpeg_path
from schemas import Station, StationEvent, decode_chunk, decode_event
from services.console import station_list
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.receiver.servers import RadioServer

pytestmark = [
    pytest.mark.radio,
    pytest.mark.broker,
    pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg"),
]

STATIONS = [f"radio-{number}" for number in range(6)]
DEADLINE_SECONDS = 60.0
FAULT_SECONDS = 15.0


class Log:
    """What the receivers wrote, in the order of the log."""

    def __init__(self) -> None:
        self.chunks: dict[str, list[int]] = defaultdict(list)
        self.events: dict[str, list[StationEvent]] = defaultdict(list)

    async def follow(self, reader: TopicReader) -> None:
        async for record in reader.messages():
            if record.topic.endswith("station.events"):
                event = decode_event(record.value, StationEvent)
                self.events[event.station_id].append(event)
            else:
                chunk = decode_chunk(record.key, record.value, record.headers)
                self.chunks[chunk.stream_id or ""].append(chunk.sequence or 0)

    async def more_of_all(self, count: int) -> None:
        """Wait until so many more chunks of each station came."""
        before = {station: len(self.chunks[station]) for station in STATIONS}
        async with asyncio.timeout(DEADLINE_SECONDS):
            while any(len(self.chunks[s]) < n + count for s, n in before.items()):
                await asyncio.sleep(0.1)

    def receivers(self, station: str) -> set[str | None]:
        return {event.receiver for event in self.events[station]}


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _is_running(pid: int) -> bool:
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


async def _share(settings: Settings, number: signal.Signals) -> tuple[Log, list[int]]:
    """Let two receivers share stations, and one of them fail; return what is left of it."""
    server, log, topics = RadioServer(), Log(), Topics(settings.topic_prefix)
    await server.start()
    stations = [Station(id=name, name=name, url=server.url) for name in STATIONS]
    await station_list.apply(settings, stations, prune=False)
    reader = TopicReader(settings, [topics.chunks, topics.station_events])
    await reader.start()
    following = asyncio.create_task(log.follow(reader))
    environment = worker_environment(settings)
    first = start_worker("receiver", environment)
    workers = {"first": first}
    try:
        await log.more_of_all(2)
        workers["second"] = start_worker("receiver", environment)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not any(len(log.receivers(station)) == 2 for station in STATIONS):
                await asyncio.sleep(0.1)
        await log.more_of_all(1)
        decoders = _children(first.pid)
        os.kill(first.pid, number)
        await asyncio.sleep(FAULT_SECONDS)
        left = [pid for pid in decoders if _is_running(pid)]
        await log.more_of_all(2)
        if number is signal.SIGSTOP:
            os.kill(first.pid, signal.SIGCONT)
            await asyncio.sleep(FAULT_SECONDS)
            await log.more_of_all(2)
    finally:
        os.kill(first.pid, signal.SIGCONT) if first.poll() is None else None
        await asyncio.to_thread(stop_workers, workers)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await reader.stop()
        await server.kill()
    return log, left


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_stations_of_a_receiver_that_fails_move_and_never_play_twice(
    brokers: str, number: signal.Signals
) -> None:
    settings = fresh_settings(brokers, "moving.")
    log, left = asyncio.run(_share(settings, number))
    assert number is signal.SIGSTOP or not left
    for station in STATIONS:
        numbers = log.chunks[station]
        assert all(a < b for a, b in pairwise(numbers)), (station, numbers)
        skipped = numbers[-1] - numbers[0] + 1 - len(numbers)
        told = sum(event.missing_seconds or 0.0 for event in log.events[station])
        assert abs(3.0 * skipped - told) <= 3.0, (station, skipped, told)
    moved = [event for events in log.events.values() for event in events if event.kind == "moved"]
    assert any((event.missing_seconds or 0.0) > 0.0 for event in moved)
