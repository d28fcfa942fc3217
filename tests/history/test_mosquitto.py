"""MQTT by mosquitto: a retained state a station and rule, and Home Assistant's discovery."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import subscribe

from services.kafka.embedded_broker import _answers, free_port
from services.notifier.deciding import Notification
from services.notifier.delivery import Unreachable, deliver
from services.notifier.rules import Channel
from tests.broker.shell import wait_until

pytestmark = pytest.mark.history


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(program).exists():
        pytest.skip("there is no mosquitto: apt install mosquitto")
    port = free_port()
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
    )
    process = subprocess.Popen(
        [program, "-c", str(tmp_path / "mosquitto.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(port), 10)
        yield port
    finally:
        process.kill()
        process.wait()


def _notification(station: str, kind: str) -> Notification:
    return Notification(f"{station}/{kind}", "dead-air", station, kind, "event silent", 1, 0, "a")


def test_states_are_retained_by_station(mosquitto: int) -> None:
    channel = Channel("home", "mqtt", f"mqtt://127.0.0.1:{mosquitto}")
    for station, kind in (("a", "alarm"), ("b", "alarm"), ("b", "recovery")):
        asyncio.run(deliver(channel, _notification(station, kind)))
    topics = [f"genrestream/{station}/dead-air/state" for station in "ab"]
    topics.append("homeassistant/binary_sensor/genrestream_a_dead-air/config")
    found = subscribe.simple(  # type: ignore[no-untyped-call]  # it has no types
        topics, port=mosquitto, hostname="127.0.0.1", msg_count=3
    )
    assert isinstance(found, list)
    states = {message.topic: message.payload for message in found}
    assert all(message.retain for message in found)
    assert [states[topic] for topic in topics[:2]] == [b"ON", b"OFF"]
    assert b'"state_topic": "genrestream/a/dead-air/state"' in states[topics[2]]


def test_a_broker_that_is_down() -> None:
    channel = Channel("home", "mqtt", f"mqtt://user:hush@127.0.0.1:{free_port()}", timeout=2)
    with pytest.raises(Unreachable, match="home fails") as error:
        asyncio.run(deliver(channel, _notification("a", "alarm")))
    assert "hush" not in str(error.value)
