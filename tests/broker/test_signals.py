"""A signal ends every command within 5 s, in order, and leaves nothing running."""

import signal
import sys
import time
from pathlib import Path

import pytest

from services.runtime.settings import Settings
from tests.broker.harness import fresh_settings
from tests.broker.shell import children, running, wait_until

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

#: Command, and its exit code: 0 where a signal is the usual end, else 128 and the signal.
COMMANDS = {
    "up --port 19099": 0,
    "demo": 128,
    "listen": 0,
    "worker extractor": 0,
    "worker classifier": 0,
    "produce - --pcm 8000:1": 128,
}
OWN_BROKER = ("up", "demo")


@pytest.fixture(scope="module")
def topics(brokers: str) -> Settings:
    return fresh_settings(brokers, "signals.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_ends_a_command(topics: Settings, command: str, number: signal.Signals) -> None:
    environment = {"GENRESTREAM_TOPIC_PREFIX": topics.topic_prefix}
    own_broker = command.startswith(OWN_BROKER)
    if not own_broker:
        environment["KAFKA_BOOTSTRAP_SERVERS"] = topics.brokers
        environment["GENRESTREAM_SESSION_TIMEOUT_SECONDS"] = "3"
    with running(*command.split(), environment=environment) as process:
        if own_broker:
            wait_until(lambda: len(children(process.pid)) == 3, 30)
        time.sleep(2.0)  # not for a condition: the signal comes while things start, or just after
        family = children(process.pid)
        start = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - start < 5
    assert b"Traceback" not in errors, errors.decode()
    base = COMMANDS[command]
    assert process.returncode == (base + number if base else 0), errors.decode()
    assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []
