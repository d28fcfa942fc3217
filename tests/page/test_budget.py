"""What the page costs: in the browser, with 200 stations, and after eight hours."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from benchmarks.radio_scene import cast, play, write_past
from services.kafka.embedded_broker import embedded_broker
from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.gateway.serving import Client, running_gateway
from tests.page.test_page import LIVE, wait

pytestmark = [pytest.mark.page, pytest.mark.timeout(300)]
STATIONS = 200
HOURS = 8
#: What is played between two pictures.
_STEP_MINUTES = 5
logger = logging.getLogger(__name__)
#: Plays events to the page by a clock of ours: eight hours in a minute or so.
SIMULATE = """
window.skew = 0;
const RealDate = Date, realNow = Date.now;
window.Date = class extends RealDate {
  constructor(...given) { given.length ? super(...given) : super(realNow() + skew); }
  static now() { return realNow() + skew; }
};
window.sources = [];
window.EventSource = class {
  constructor() { this.handlers = {}; sources.push(this); setTimeout(() => this.onopen(), 0); }
  addEventListener(kind, handle) { this.handlers[kind] = handle; }
  close() {}
};
const labels = ["blues", "jazz", "rock", "speech", "silence", "unknown", "pop"];
let turn = 0;
const tell = (kind, data) => {
  const event = { lastEventId: "x" + turn, data: JSON.stringify(data) };
  sources[sources.length - 1].handlers[kind](event);
};
const playWindow = (id, n) => {
  const label = labels[Math.floor((turn + 13 * n) / 90) % labels.length];
  const since = new Date(Date.now() - 60000).toISOString();
  const now = {
    label, confidence: (turn % 50) / 100 + .5, since, window: label, end_seconds: 3 * turn,
    level_dbfs: -20 - turn % 7, next: [["pop", .2], ["rock", .1]], probabilities: { pop: .2 },
  };
  tell("now", { id, now });
  const row = { id, name: id, station: true, tags: [], state: "on-air", state_since: since, now };
  if (turn % 60 === n % 60) tell("row", { ...row, title: "Title " + turn });
};
window.play = async (minutes) => {
  const rows = [...document.querySelectorAll(".row")];
  const ids = rows.map((row) => decodeURIComponent(row.hash.slice(4)));
  for (let step = 0; step < 20 * minutes; step++) {
    skew += 3000;
    turn++;
    ids.forEach(playWindow);
  }
  await new Promise((done) => setTimeout(() => requestAnimationFrame(done), 600));
};
"""


@pytest.fixture(scope="module")
def crowd() -> Iterator[Client]:
    """Run a gateway on which 200 stations play."""
    stop = threading.Event()
    with embedded_broker() as address, ThreadPoolExecutor(1) as thread:
        settings = thread.submit(fresh_settings, address, "budget.").result()
        playing = thread.submit(lambda: asyncio.run(_play(settings, stop)))
        with running_gateway(settings) as (client, _):
            yield client
        stop.set()
        playing.result(20)


async def _play(settings: Settings, stop: threading.Event) -> None:
    players = cast(STATIONS)

    def now() -> int:
        return round(time.time() * 1000)

    async with AIOKafkaProducer(bootstrap_servers=settings.brokers, linger_ms=100) as producer:
        await write_past(producer, settings, players, now())
        task = asyncio.create_task(play(producer, settings, players, now))
        while not stop.is_set():
            await asyncio.sleep(0.2)
        task.cancel()


def cpu_seconds(browser_pid: int, kind: str = "") -> float:
    """Add up what the processes of a browser have used: all, or those of a kind."""
    ticks, ours = 0, {browser_pid}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(folder.name) in ours or int(fields[1]) in ours:
            ours.add(int(folder.name))
            ticks += (int(fields[11]) + int(fields[12])) * (kind in words)
    return ticks / os.sysconf("SC_CLK_TCK")


def _browser_pid() -> int:
    """Return the process of our Chromium that is no helper of it."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
            parents = _ancestors(int(path.parent.name))
        except OSError:
            continue
        program = words.partition(b"\0")[0]
        if program.endswith(b"chromium") and b"--type=" not in words and os.getpid() in parents:
            return int(path.parent.name)
    raise AssertionError("no Chromium runs")


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def test_two_hundred_stations_take_little_of_a_core(browser: Any, crowd: Client) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(crowd.address + "/")
    wait(page, f"document.querySelectorAll('#rows .row').length >= {STATIONS}", 90)
    page.wait_for_selector(LIVE)
    page.select_option("#sort", "name")  # what is in trouble does not move
    wait(page, "document.querySelectorAll('#rows .now .sw').length > 20", 60)
    pid = _browser_pid()
    shares = [_share(page, pid) for _ in range(3)]
    page.close()
    logger.info("of a core, the page and all of Chromium, for 10 s each: %s", shares)
    assert min(shares)[0] < 0.05


def _share(page: Any, pid: int) -> tuple[float, float]:
    """Return what the page and the whole browser use of a core, for ten seconds."""
    began = time.monotonic()
    used = cpu_seconds(pid, "--type=renderer"), cpu_seconds(pid)
    page.wait_for_timeout(10_000)
    took = time.monotonic() - began
    found = cpu_seconds(pid, "--type=renderer"), cpu_seconds(pid)
    return round((found[0] - used[0]) / took, 3), round((found[1] - used[1]) / took, 3)


def metric(session: Any, name: str) -> float:
    found = session.send("Performance.getMetrics")["metrics"]
    return float(next(entry["value"] for entry in found if entry["name"] == name))


def test_eight_hours_leave_its_memory_flat(browser: Any, crowd: Client) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(SIMULATE)
    page.goto(crowd.address + "/")
    wait(page, f"document.querySelectorAll('#rows .row').length >= {STATIONS}", 90)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    heaps, nodes = [], []
    for _ in range(HOURS):
        for _ in range(60 // _STEP_MINUTES):
            page.evaluate(f"play({_STEP_MINUTES})")
        session.send("HeapProfiler.collectGarbage")
        heaps.append(round(metric(session, "JSHeapUsedSize") / 1e6, 2))
        nodes.append(metric(session, "Nodes"))
    page.close()
    logger.info("MB of heap after each hour: %s; nodes: %s", heaps, nodes)
    assert heaps[-1] < 1.05 * heaps[0] + 0.2
    assert nodes[-1] <= nodes[0] + 10
