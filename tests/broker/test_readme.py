"""The README's Python, run as it stands but for address and topics."""

import asyncio
import io
import re
from contextlib import redirect_stdout, suppress
from typing import Any

import pytest

from services.kafka.topics import Topics
from services.settings import Settings
from tests.audio import integers, music
from tests.conftest import ROOT

pytestmark = pytest.mark.broker

SNIPPETS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
RATE = 44_100


def run(snippet: str, settings: Settings) -> dict[str, Any]:
    """Run a snippet on the test's broker and topics."""
    topics = Topics(settings.topic_prefix)
    code = snippet.replace("localhost:9092", settings.brokers)
    for name in ("audio.chunks", "genre.predictions"):
        code = code.replace(f'"{name}"', f'"{settings.topic_prefix}{name}"')
    assert topics.chunks in code or topics.predictions in code
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the README's own
    return names


def ended(printed: str) -> list[str]:
    """Return the lines of the README's own stream that say it is over; others share the broker."""
    ours = [line for line in printed.splitlines() if line.startswith("my-radio ")]
    return [line for line in ours if line.endswith("True")]


async def hear(send: Any, read: Any, chunks: list[bytes], out: io.StringIO) -> str:
    """Send with one snippet until the other has printed a final label."""
    reader = asyncio.create_task(read())
    try:
        async with asyncio.timeout(60):
            while not (lines := ended(out.getvalue())):
                assert not reader.done(), reader.exception()
                await send(chunks)
                await asyncio.sleep(1)
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
    return lines[0]


def test_what_the_snippets_send_the_snippets_read(system: Settings) -> None:
    assert len(SNIPPETS) == 2
    sound = integers(music(4.0, RATE)).repeat(2).tobytes()
    chunks = [sound[i : i + 40_000] for i in range(0, len(sound), 40_000)]
    out = io.StringIO()
    send, read = (run(snippet, system) for snippet in SNIPPETS)
    with redirect_stdout(out):
        line = asyncio.run(hear(send["send"], read["read"], chunks, out))
    assert " since " in line
