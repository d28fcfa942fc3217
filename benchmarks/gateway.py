"""Pages that read events: from a prediction to the page, and the memory of the gateway.

``python -m benchmarks.gateway --pages 1000 --stations 200 --stalled 50 --seconds 30``
"""

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from aiokafka import AIOKafkaProducer

from benchmarks.radio_scene import cast, play, write_past
from schemas import to_milliseconds
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.embedded_broker import embedded_broker, free_port
from services.kafka.topics import create_topics
from services.settings import Settings, load_settings

_SAMPLE = 20


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return round(time.time() * 1000)


async def main(pages: int, stations: int, stalled: int, seconds: float) -> dict[str, Any]:
    """Measure, and return the figures."""
    with embedded_broker() as address:
        settings = load_settings(bootstrap_servers=address, gateway_port=free_port())
        await create_topics(settings)
        workers = {"gateway": start_worker("gateway", worker_environment(settings))}
        try:
            return await _measure(
                settings, workers["gateway"].pid, pages, stations, stalled, seconds
            )
        finally:
            stop_workers(workers)


async def _measure(
    settings: Settings, pid: int, pages: int, stations: int, stalled: int, seconds: float
) -> dict[str, Any]:
    players = cast(stations)
    # In large batches: the embedded broker goes through all batches of a partition at each fetch.
    async with AIOKafkaProducer(bootstrap_servers=settings.brokers, linger_ms=200) as past:
        await write_past(past, settings, players, now_ms())
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
    await producer.start()
    delays: list[float] = []
    counts = [0]
    crowd = await _start_crowd(settings, pages - pages // _SAMPLE, stalled)
    readers = [
        asyncio.create_task(_read(settings, delays, counts)) for _ in range(pages // _SAMPLE)
    ]
    playing = asyncio.create_task(play(producer, settings, players, now_ms))
    await asyncio.sleep(3)
    delays.clear()
    counts[0] = 0
    before, ours, start = _cpu(pid), time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - start
    figures = {
        "pages": pages,
        "stations": stations,
        "stalled": stalled,
        "pages_reading": _readers(settings),
        "dropped": _dropped(settings),
        "kilobytes_per_second_and_page": round(counts[0] / took / len(readers) / 1e3, 1),
        "p50_ms": round(float(np.percentile(delays, 50))),
        "p99_ms": round(float(np.percentile(delays, 99))),
        "gateway_rss_mb": round(_rss(pid)),
        "gateway_cores": round((_cpu(pid) - before) / took, 2),
        "reading_cores": round((time.process_time() - ours) / took, 2),
    }
    for task in (playing, *readers):
        task.cancel()
    await asyncio.wait([playing, *readers])
    crowd.kill()
    await crowd.wait()
    await producer.stop()
    return figures


async def _start_crowd(
    settings: Settings, reading: int, stalled: int
) -> asyncio.subprocess.Process:
    """Let another process be the other pages, so that its work delays no measurement."""
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.gateway", "--crowd", str(settings.gateway_port)),
        *("--pages", str(reading), "--stalled", str(stalled)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert crowd.stdout
    await crowd.stdout.readline()
    return crowd


async def _crowd(port: int, reading: int, stalled: int) -> None:
    settings = load_settings(gateway_port=port)
    tasks = []
    for number in range(reading + stalled):
        page = _stall(settings) if number >= reading else _read(settings, None, [0])
        tasks.append(asyncio.create_task(page))
        await asyncio.sleep(0.015)
    print("there", flush=True)  # noqa: T201 - for the process that measures
    await asyncio.wait(tasks)


def _readers(settings: Settings) -> int:
    """Ask the gateway how many read."""
    address = f"http://localhost:{settings.gateway_port}/api/health"
    with urllib.request.urlopen(address, timeout=20) as answer:
        return int(json.load(answer)["readers"])


def _dropped(settings: Settings) -> dict[str, int]:
    """Ask the gateway how many readers it has dropped, by reason."""
    address = f"http://localhost:{settings.gateway_port}/metrics"
    name = "genrestream_gateway_readers_dropped_total{reason="
    with urllib.request.urlopen(address, timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    found = [line.removeprefix(name).split("} ") for line in lines if line.startswith(name)]
    return {reason.strip('"'): round(float(count)) for reason, count in found}


async def _open(settings: Settings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host = urlsplit(f"http://localhost:{settings.gateway_port}").netloc
    for _ in range(200):
        try:
            pair = await asyncio.open_connection("127.0.0.1", settings.gateway_port, limit=1 << 22)
        except OSError:
            await asyncio.sleep(0.2)
            continue
        pair[1].write(
            f"GET /api/events?kinds=now,row,gone HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        )
        return pair
    raise OSError("the gateway does not answer")


async def _read(settings: Settings, delays: list[float] | None, counts: list[int]) -> None:
    """Read as a page does; where it is asked for, note how old a window is when it comes."""
    reader, _ = await _open(settings)
    while data := await reader.read(1 << 18):
        counts[0] += len(data)
        if delays is None:
            continue
        came = now_ms()
        for line in data.split(b"\n"):
            if line.startswith(b"data: {") and b'"heard_at":"' in line and line.endswith(b"}}"):
                _note(line, came, delays)


def _note(line: bytes, came: int, delays: list[float]) -> None:
    try:
        heard_at = json.loads(line[6:])["now"]["heard_at"]
    except (ValueError, KeyError, TypeError):
        return  # a line that was cut by the end of a read
    delays.append(came - to_milliseconds(heard_at) - 3_000)


async def _stall(settings: Settings) -> None:
    """Connect, and read nothing."""
    pair = await _open(settings)
    pair[0]._transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


def _rss(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--stations", type=int, default=200)
    parser.add_argument("--stalled", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--crowd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.crowd:
        asyncio.run(_crowd(given.crowd, given.pages, given.stalled))
        sys.exit()
    figures = asyncio.run(main(given.pages, given.stations, given.stalled, given.seconds))
    print(json.dumps(figures))  # noqa: T201 - its output
