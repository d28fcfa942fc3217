"""A picture of the page for the README: ``python -m benchmarks.picture docs/page.png``."""

import asyncio
import io
import shutil
import sys
import time
import urllib.request
from pathlib import Path

from aiokafka import AIOKafkaProducer
from PIL import Image
from playwright.async_api import async_playwright

from benchmarks.radio_scene import cast, play, write_past
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.embedded_broker import embedded_broker, free_port
from services.kafka.topics import create_topics
from services.settings import load_settings

_COLOURS = 256


async def main(path: Path) -> None:
    """Let made-up stations play before a gateway, and take the picture."""
    with embedded_broker() as address:
        settings = load_settings(bootstrap_servers=address, gateway_port=free_port())
        await create_topics(settings)
        producer = AIOKafkaProducer(bootstrap_servers=address)
        await producer.start()
        players = cast()
        await write_past(producer, settings, players, round(time.time() * 1000))
        playing = asyncio.create_task(
            play(producer, settings, players, lambda: round(time.time() * 1000))
        )
        workers = {"gateway": start_worker("gateway", worker_environment(settings))}
        try:
            image = await _take(f"http://127.0.0.1:{settings.gateway_port}/")
        finally:
            stop_workers(workers)
            playing.cancel()
            await producer.stop()
    Image.open(io.BytesIO(image)).convert("RGB").quantize(_COLOURS).save(path, optimize=True)


async def _take(address: str) -> bytes:
    await asyncio.to_thread(_wait, address)
    async with async_playwright() as engine:
        chromium = await engine.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = await chromium.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(address)
        await page.wait_for_timeout(8_000)
        image: bytes = await page.screenshot()
        await chromium.close()
        return image


def _wait(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}readyz", timeout=5).close()  # noqa: S310 - our own
        except OSError:
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
