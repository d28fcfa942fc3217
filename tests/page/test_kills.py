"""SIGKILL of gateway, broker and recorder, while pages are open and a client reads events."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from benchmarks.radio_scene import cast, play_window, write_past
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.embedded_broker import free_port
from services.settings import Settings
from tests.broker.harness import fresh_settings
from tests.conftest import kafka_of_our_own
from tests.faults.brokers import Broker
from tests.gateway.serving import Client, wait_until_ready
from tests.page.following import Follower, read_topics, wait_until
from tests.page.test_page import LIVE, wait

pytestmark = [pytest.mark.page, pytest.mark.timeout(400)]


@dataclass
class Scene:
    """Stations on Apache Kafka, a gateway and a recorder, each of which may be killed."""

    kafka: Broker
    settings: Settings
    workers: dict[str, Any] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def start(self, service: str) -> None:
        if service == "broker":
            self.kafka.start()
            return
        self.workers[service] = start_worker(service, worker_environment(self.settings))

    def kill(self, service: str) -> None:
        if service == "broker":
            self.kafka.kill()
            return
        self.workers[service].kill()
        self.workers[service].wait()

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.settings.gateway_port}")

    def play(self) -> None:
        asyncio.run(self._play())

    async def _play(self) -> None:
        players = cast()
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.brokers)
        await producer.start()
        await write_past(producer, self.settings, players, round(time.time() * 1000))
        while not self.stop.is_set():
            for player in players:
                with suppress(KafkaError):
                    await play_window(producer, self.settings, player, round(time.time() * 1000))
                await asyncio.sleep(0.02)
        await producer.stop()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    kafka = kafka_of_our_own(tmp_path_factory)
    folder: Path = tmp_path_factory.mktemp("history")
    with ThreadPoolExecutor(1) as thread:  # Playwright's loop runs in ours
        settings = thread.submit(
            fresh_settings,
            kafka.address,
            "kills.",
            gateway_port=free_port(),
            database_url=f"sqlite:///{folder}/history.db",
        ).result()
    made = Scene(kafka, settings)
    playing = threading.Thread(target=made.play, daemon=True)
    playing.start()
    made.start("gateway")
    made.start("recorder")
    wait_until_ready(made.client)
    yield made
    made.stop.set()
    stop_workers(made.workers)
    playing.join(10)
    kafka.stop()


#: Who is killed, and what pages say meanwhile.
VICTIMS = {
    "gateway": "gateway does not answer",
    "broker": "No news since .*broker does not answer",
    "recorder": "history is not recorded since",
}
#: Notes what pages are told of each window, before any script of theirs runs.
LISTEN = """
window.heard = [];
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (kind, handle) {
  listen.call(this, kind, (event) => {
    const { id, now, state } = JSON.parse(event.data);
    if (kind === "now") heard.push([id, now.heard_at]);
    if (state === "reset") heard.push(["reset", ""]);
    handle(event);
  });
};
"""


def test_kills_are_said_in_words_and_nothing_is_missed(scene: Scene, browser: Any) -> None:
    follower = Follower(scene.settings.gateway_port)
    follower.start()
    page = browser.new_page()
    page.add_init_script(LISTEN)
    page.goto(scene.client.address + "/")
    page.wait_for_selector(LIVE)
    wait_until(lambda: len(follower.seen) > 50, 20, "first events")
    for victim, words in VICTIMS.items():
        scene.kill(victim)
        wait(
            page, f"/{words}/.test(document.querySelector('#trouble:not([hidden])')?.innerText)", 60
        )
        scene.start(victim)
        page.wait_for_selector(LIVE, timeout=60_000)
        page.wait_for_selector("#trouble", state="hidden", timeout=60_000)
        before = len(follower.seen)
        wait_until(lambda n=before: len(follower.seen) > n + 100 or follower.refused, 60, victim)
        assert follower.refused is None
    heard, seen = page.evaluate("heard"), follower.event_ids()
    follower.end()
    page.close()
    log = read_topics(scene.settings)
    assert not [data for _, data in follower.seen if data.get("state") == "reset"]
    assert len([key for key in seen if key[0] == "prediction"]) >= 11
    for key, ids in seen.items():
        assert_stretch(ids, [event["event_id"] for event in log[key]])
    windows: dict[str, list[str]] = {}
    for stream, heard_at in heard:
        windows.setdefault(stream, []).append(heard_at)
    assert len(windows) >= 11
    for stream, moments in windows.items():
        assert_stretch(moments, [event["heard_at"] for event in log["prediction", stream]])


def assert_stretch(seen: list[str], log: list[str]) -> None:
    """Check that what was seen is the log from the first seen to the last, in order."""
    log = list(dict.fromkeys(log))
    assert seen == log[log.index(seen[0]) : log.index(seen[-1]) + 1]
