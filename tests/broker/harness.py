"""Real workers on a real broker, for tests: start, produce, collect."""

import asyncio
import io
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soundfile
from aiokafka import AIOKafkaProducer
from numpy.typing import NDArray

from features import Audio, resample
from schemas import GenrePrediction, decode_event, header
from services.console import synthesis
from services.console.stack import start_worker, stop_workers, worker_environment
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics, create_topics
from services.settings import MAX_MESSAGE_BYTES, Settings, load_settings

SAMPLE_RATE = 22_050
DEADLINE_SECONDS = 60.0
_BATCH_BYTES = 128 * 1024


@dataclass(frozen=True)
class Message:
    """A message for a topic, by default of audio."""

    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    topic: str = "audio.chunks"
    partition: int | None = None
    timestamp_ms: int | None = None


@dataclass
class Collected:
    """What came out, by the key of the message."""

    predictions: dict[str, list[GenrePrediction]] = field(default_factory=dict)
    dead_letters: dict[bytes | None, list[Any]] = field(default_factory=dict)

    def final(self, stream_id: str) -> GenrePrediction | None:
        finals = [p for p in self.predictions.get(stream_id, []) if p.final]
        assert len(finals) <= 1, f"{stream_id} ended {len(finals)} times"
        return finals[0] if finals else None

    def reasons(self, key: bytes | None) -> list[str]:
        return [
            header(letter.headers, "dead_letter_error") or ""
            for letter in self.dead_letters.get(key, [])
        ]


@contextmanager
def running_workers(settings: Settings, *services: str) -> Iterator[dict[str, Any]]:
    """Run workers; those that still run at the end are stopped."""
    environment = worker_environment(settings)
    workers = {service: start_worker(service, environment) for service in services}
    try:
        yield workers
    finally:
        stop_workers(workers)


def fresh_settings(brokers: str, prefix: str, **overrides: Any) -> Settings:
    """Return settings with topics of their own, which are created.

    A broker that outlives the tests may hold topics of earlier runs: a token tells them apart.
    """
    settings = load_settings(
        bootstrap_servers=brokers,
        topic_prefix=f"{prefix}{secrets.token_hex(4)}.",
        session_timeout_seconds=session_timeout(brokers),
        **overrides,
    )
    asyncio.run(create_topics(settings))
    return settings


def session_timeout(brokers: str) -> float:
    """Return the shortest session that a broker allows: 6 s on a Kafka that is not ours."""
    return 6.0 if brokers == os.environ.get("KAFKA_BOOTSTRAP_SERVERS") else 3.0


async def send(
    settings: Settings,
    messages: Sequence[Message],
    compression: str | None = None,
    linger_ms: int = 0,
) -> None:
    """Produce messages, in order; with some lingering they share batches."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.brokers,
        max_request_size=MAX_MESSAGE_BYTES + 4096,
        compression_type=compression,
        linger_ms=50 if compression else linger_ms,
        max_batch_size=_BATCH_BYTES,
    )
    await producer.start()
    try:
        for message in messages:
            await producer.send(
                settings.topic_prefix + message.topic,
                value=message.value,
                key=message.key,
                headers=message.headers,
                partition=message.partition,
                timestamp_ms=message.timestamp_ms,
            )
    finally:
        await producer.stop()


def run(
    settings: Settings,
    messages: Sequence[Message],
    done: Callable[[Collected], bool],
    meanwhile: Callable[[Collected], None] = lambda _: None,
    compression: str | None = None,
    from_beginning: bool = False,
) -> Collected:
    """Produce messages and collect what comes out, until it is enough or the deadline is over."""
    return asyncio.run(_run(settings, messages, done, meanwhile, compression, from_beginning))


async def _run(
    settings: Settings,
    messages: Sequence[Message],
    done: Callable[[Collected], bool],
    meanwhile: Callable[[Collected], None],
    compression: str | None,
    from_beginning: bool,
) -> Collected:
    topics = Topics(settings.topic_prefix)
    reader = TopicReader(settings, [topics.predictions, topics.dead_letters])
    collected = Collected()
    await reader.start(from_beginning=from_beginning)
    try:
        await send(settings, messages, compression)
        records = reader.messages()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not done(collected):
                _collect(collected, await anext(records), topics)
                meanwhile(collected)
    except TimeoutError:
        pass  # the assertions of the test say what is missing
    finally:
        await reader.stop()
    return collected


def _collect(collected: Collected, record: Any, topics: Topics) -> None:
    if record.topic == topics.dead_letters:
        collected.dead_letters.setdefault(record.key, []).append(record)
    else:
        prediction = decode_event(record.value, GenrePrediction)
        collected.predictions.setdefault(prediction.stream_id, []).append(prediction)


def music(seconds: float, sample_rate: int = SAMPLE_RATE, seed: int = 0) -> NDArray[np.float32]:
    """Return beats and chords that leave no doubt about being music [shape=(n,)]."""
    clip = np.roll(synthesis.synthesise_clip(), -11_025 * seed)
    y = np.resize(clip, round(seconds * synthesis.SAMPLE_RATE))
    return resample(Audio(y, synthesis.SAMPLE_RATE), sample_rate)


def encoded(
    frames: NDArray[Any],
    sample_rate: int = SAMPLE_RATE,
    container: str = "WAV",
    subtype: str | None = None,
) -> bytes:
    """Return a file's bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, frames, sample_rate, format=container, subtype=subtype)
    return buffer.getvalue()


def pcm_stream(key: str, samples: NDArray[np.float32], chunk: int) -> list[Message]:
    """Cut samples into 16-bit PCM messages of so many samples, the last one final."""
    data = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    content_type = b"audio/pcm;rate=22050;channels=1;encoding=s16le"
    messages = []
    for start in range(0, len(data), chunk):
        headers = [("content-type", content_type)]
        if start + chunk >= len(data):
            headers.append(("final", b"true"))
        messages.append(Message(data[start : start + chunk].tobytes(), key.encode(), headers))
    return messages


def wait_for_exit(process: subprocess.Popen[Any], seconds: float) -> int:
    """Return the exit code of a process that must end in time."""
    return process.wait(timeout=seconds)
