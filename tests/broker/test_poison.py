"""Poison in a partition delays the streams beside it by less than a second, and is counted."""

import asyncio
import io
import logging
import statistics
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.settings import Settings
from tests.audio import patched
from tests.broker.harness import (
    SAMPLE_RATE,
    Message,
    encoded,
    fresh_settings,
    music,
    pcm_stream,
    run,
    running_workers,
    send,
)

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

REPETITIONS = 3
MOST_DELAY_SECONDS = 1.0
POISON = 1000
FLAC_LENGTH = 22


def _hours_of_silence() -> bytes:
    """Make a FLAC of an hour in eight channels that hides its length: 10 s of work, undisturbed."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 48_000, 8, "PCM_16", format="FLAC") as sound:
        for _ in range(3600):
            sound.write(np.zeros((48_000, 8), np.int16))
    return patched(file.getvalue(), FLAC_LENGTH, bytes(4))


@pytest.fixture(scope="module")
def poisons() -> dict[str, bytes]:
    flac = encoded(music(30.0), container="FLAC")
    return {
        "none": b"",
        "random bytes": np.random.default_rng(0).bytes(1_000_000),
        "broken FLAC": flac[: len(flac) - 100],
        "bomb": _hours_of_silence(),
    }


def _answer_seconds(settings: Settings, name: str, poison: bytes) -> float:
    """Return the time from a chunk that completes a window, sent after poison, to its prediction.

    All of it goes to one partition.
    """
    window = replace(pcm_stream(name, music(3.0), 3 * SAMPLE_RATE)[0], partition=0)

    async def answer() -> float:
        async with reading(settings, [Topics(settings.topic_prefix).predictions]) as reader:
            before = [Message(poison, b"poison", partition=0)] if poison else []
            begun = time.monotonic()
            await send(settings, [*before, window])
            async with asyncio.timeout(60):
                async for record in reader.messages():
                    if record.key == name.encode():
                        return time.monotonic() - begun
        raise AssertionError

    return asyncio.run(answer())


def test_poison_delays_its_partition_by_less_than_a_second(
    brokers: str, poisons: dict[str, bytes]
) -> None:
    settings = fresh_settings(brokers, "delay.")
    with running_workers(settings, "extractor", "classifier"):
        _answer_seconds(settings, "warm-up", poisons["random bytes"])
        seconds = {
            kind: statistics.median(
                _answer_seconds(settings, f"{kind} {i}", poison) for i in range(REPETITIONS)
            )
            for kind, poison in poisons.items()
        }
    delays = {kind: took - seconds["none"] for kind, took in seconds.items() if kind != "none"}
    logger.info("median delay by kind of poison, in seconds: %s", delays)
    assert max(delays.values()) < MOST_DELAY_SECONDS, delays


def test_a_thousand_poison_chunks_give_a_thousand_dead_letters(brokers: str) -> None:
    settings = fresh_settings(brokers, "thousand.")
    good = pcm_stream("good", music(9.0), SAMPLE_RATE)
    poison = [Message(b"poison %d" % i, b"poison-%d" % (i % 7)) for i in range(POISON)]
    share = POISON // len(good)
    messages = [
        message
        for number, chunk in enumerate(good)
        for message in (*poison[number * share : (number + 1) * share], chunk)
    ]
    messages += poison[len(good) * share :]
    with running_workers(settings, "extractor", "classifier"):
        collected = run(
            settings,
            messages,
            lambda c: bool(c.final("good")) and sum(map(len, c.dead_letters.values())) >= POISON,
        )
    # What the workers delivered while they stopped counts, too.
    counts = Counter(asyncio.run(_letters(settings)))
    assert collected.final("good")
    assert counts == Counter(message.value for message in poison)


async def _letters(settings: Settings) -> list[bytes]:
    topic = Topics(settings.topic_prefix).dead_letters
    async with reading(settings, [topic], from_beginning=True) as reader:
        return [record.value async for record in reader.messages_so_far()]
