"""A signal ends every command within 5 s, in order, and leaves nothing running."""

import signal
import sys
import time
from pathlib import Path

import pytest
import soundfile

from services.kafka.embedded_broker import free_port
from services.settings import Settings
from tests.broker.harness import SAMPLE_RATE, fresh_settings, music
from tests.broker.shell import catches, children, running, wait_until

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

#: Command, and its exit code: 0 where a signal is the usual end, else 128 and the signal.
COMMANDS = {
    "classify {folder}": 128,
    "up --port {port}": 0,
    "demo": 128,
    "listen": 0,
    "worker extractor": 0,
    "worker classifier": 0,
    "worker gateway": 0,
    "produce - --pcm 8000:1": 128,
}
OWN_BROKER = ("up", "demo")


@pytest.fixture(scope="module")
def topics(brokers: str) -> Settings:
    return fresh_settings(brokers, "signals.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make files that take far longer to classify than the test waits."""
    path = tmp_path_factory.mktemp("long")
    for number in range(10):
        soundfile.write(path / f"{number}.wav", music(240.0), SAMPLE_RATE)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_ends_a_command(
    topics: Settings, folder: Path, command: str, number: signal.Signals
) -> None:
    base = COMMANDS[command]
    command = command.format(folder=folder, port=free_port())
    environment = {"GENRESTREAM_TOPIC_PREFIX": topics.topic_prefix}
    own_broker = command.startswith(OWN_BROKER)
    if not own_broker:
        environment["KAFKA_BOOTSTRAP_SERVERS"] = topics.brokers
        environment["GENRESTREAM_SESSION_TIMEOUT_SECONDS"] = "3"
        environment["GENRESTREAM_GATEWAY_PORT"] = str(free_port())
    with running(*command.split(), environment=environment) as process:
        if own_broker:
            wait_until(lambda: len(children(process.pid)) >= 3, 30)
        wait_until(lambda: catches(process.pid, signal.SIGTERM), 30)
        time.sleep(1.0)  # not for a condition: the signal comes while things start, or just after
        family = children(process.pid)
        start = time.monotonic()
        process.send_signal(number)
        process.wait(timeout=10)  # its standard input stays open
        assert time.monotonic() - start < 5
        errors = process.stderr.read() if process.stderr else b""
    assert b"Traceback" not in errors, errors.decode()
    expected = {base + number if base else 0}
    if command.startswith("worker"):
        expected |= {128 + number, -number}  # it was still starting, and left without ceremony
    assert process.returncode in expected, errors.decode()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 2)
