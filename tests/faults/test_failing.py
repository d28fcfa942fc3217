"""A worker that cannot go on ends, wherever it broke and whatever is queued; its health says so."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.console.stack import worker_environment
from services.kafka.embedded_broker import embedded_broker, free_port
from services.settings import Settings
from terminal.processes import die_with_parent
from tests.broker.harness import SAMPLE_RATE, fresh_settings, music, pcm_stream, send
from tests.broker.observing import Port
from tests.broker.shell import wait_until
from tests.faults.failing_worker import PLACES
from tests.faults.load import MODEL

pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(120)]

END_SECONDS = 10.0
_POLL_SECONDS = 0.02


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with embedded_broker() as address:
        yield address


@contextmanager
def _worker(
    settings: Settings, fault: str, trigger: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Port]]:
    port = Port(free_port())
    environment = worker_environment(settings) | {"GENRESTREAM_HTTP_PORT": str(port.number)}
    module = "tests.faults.failing_worker"
    process = subprocess.Popen(
        [sys.executable, "-m", module, fault, str(trigger), "worker", "extractor"],
        env=environment,
        stdout=sys.stderr,
        preexec_fn=die_with_parent,
    )
    try:
        wait_until(lambda: port.is_ok("/readyz"), 60)
        yield process, port
    finally:
        process.kill()
        process.wait()


def _queue(settings: Settings) -> None:
    """Send more than a worker takes at once."""
    stream = pcm_stream("s", music(30.0), SAMPLE_RATE // 4)
    asyncio.run(send(settings, stream))


@pytest.mark.parametrize("fault", [*PLACES, "save+hang"])
def test_a_worker_that_cannot_go_on_ends(broker: str, tmp_path: Path, fault: str) -> None:
    settings = fresh_settings(broker, "fail.", model=MODEL)
    trigger = tmp_path / "broken"
    with _worker(settings, fault, trigger) as (process, port):
        trigger.touch()
        begun = time.monotonic()
        _queue(settings)
        told: list[int] = []
        while process.poll() is None and time.monotonic() - begun < END_SECONDS:
            told.append(port.get("/healthz")[0])
            time.sleep(_POLL_SECONDS)  # between two looks
        assert process.poll() == 1, f"after {time.monotonic() - begun:.1f} s"
        ill = [status != 200 for status in told]
        assert ill == sorted(ill), "its health went back to ok"


def test_a_worker_whose_loop_is_blocked_ends_at_a_signal(broker: str, tmp_path: Path) -> None:
    settings = fresh_settings(broker, "block.", model=MODEL)
    trigger = tmp_path / "broken"
    with _worker(settings, "sweep+block", trigger) as (process, _):
        trigger.touch()
        wait_until(trigger.with_suffix(".blocked").exists, 30)
        process.terminate()
        assert process.wait(END_SECONDS) == 128 + signal.SIGTERM
