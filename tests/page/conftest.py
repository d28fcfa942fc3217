"""The whole system with made-up stations, and a browser before its page."""

import asyncio
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiokafka import AIOKafkaProducer

from benchmarks.radio_scene import cast, play, write_past
from services.kafka.embedded_broker import embedded_broker
from services.settings import Settings
from tests.audio import music
from tests.broker.harness import fresh_settings
from tests.gateway.serving import Client, running_gateway
from tests.page.hostile import TOKEN, Gateway, settings_of

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write twelve seconds of made-up music, 48 kHz."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, np.tile(music(12, 48_000), 1), 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def radio() -> Iterator[tuple[Client, Settings, dict[str, Any]]]:
    """Run the system, with thirteen stations that play."""
    with embedded_broker() as address:
        settings = fresh_settings(address, "page.")
        stop = threading.Event()
        playing = threading.Thread(target=lambda: asyncio.run(_play(settings, stop)), daemon=True)
        playing.start()
        with running_gateway(settings, "extractor", "classifier") as (client, workers):
            yield client, settings, workers
        stop.set()
        playing.join(10)


async def _play(settings: Settings, stop: threading.Event) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
    await producer.start()
    players = cast()
    await write_past(producer, settings, players, round(time.time() * 1000))
    task = asyncio.create_task(play(producer, settings, players, lambda: round(time.time() * 1000)))
    while not stop.is_set():
        await asyncio.sleep(0.2)
    task.cancel()
    await producer.stop()


@pytest.fixture(scope="session")
def browser(clip: Path, radio: Any) -> Iterator[Any]:
    """Start Chromium, whose microphone plays the clip; its loop comes after those of `radio`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright from PyPI")
    if not CHROMIUM:
        pytest.skip("no chromium on PATH: apt install chromium, or name it by CHROMIUM")
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={clip}",
    ]
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fetch axe-core, which is not ours to keep."""
    if not shutil.which("npm"):
        pytest.skip("no npm on PATH: axe-core comes from there")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        ["npm", "pack", "axe-core@4.14.1"], cwd=folder, capture_output=True, check=False
    )
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode or packed is None:
        pytest.skip("npm cannot fetch axe-core")
    with tarfile.open(packed) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script
        return script.read().decode()


@pytest.fixture
def page(browser: Any, radio: tuple[Client, Settings, dict[str, Any]]) -> Iterator[Any]:
    """Open the page in a fresh profile; errors of its scripts fail the test."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["microphone"], bypass_csp=False
    )
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(radio[0].address + "/")
    yield opened
    context.close()
    assert not errors


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Run a broker for a module of tests."""
    with embedded_broker() as address:
        yield address


@pytest.fixture(scope="module")
def gateway(broker: str) -> Iterator[Gateway]:
    """Run a gateway with a token, to be ill-treated."""
    settings = settings_of(broker, "hostile.", token=TOKEN)
    with running_gateway(settings) as (client, workers):
        yield Gateway(client, workers["gateway"].pid)


@pytest.fixture
def well_afterwards(gateway: Gateway) -> Iterator[None]:
    """Check after a test that the gateway is well."""
    yield
    gateway.assert_well()
