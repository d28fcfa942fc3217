"""What comes through a pipe is sent as it comes, whatever container it is."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer

from features import decode
from features.formats.ffmpeg import ffmpeg_path
from schemas import header
from tests.audio import encode, integers, music
from tests.broker.shell import genrestream
from tests.commands.terminals import GENRESTREAM

RATE = 22_050
SONG = integers(music(30.0, RATE))
pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg"),
]


@pytest.fixture(scope="module")
def topics(brokers: str) -> dict[str, str]:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": brokers, "GENRESTREAM_TOPIC_PREFIX": "pipes-"}
    assert genrestream("topics", "create", environment=environment).returncode == 0
    return {**os.environ, **environment}


@contextmanager
def producing(environment: dict[str, str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*GENRESTREAM, "produce", "-", *options]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            if pipe:
                pipe.close()


async def _chunks(environment: dict[str, str], key: str, count: int | None) -> list[Any]:
    """Return so many chunks of a stream, or all up to its end, by a deadline."""
    consumer = AIOKafkaConsumer(
        "pipes-audio.chunks",
        bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"],
        auto_offset_reset="earliest",
    )
    await consumer.start()
    found: list[Any] = []
    try:
        async with asyncio.timeout(40):
            async for message in consumer:
                if message.key == key.encode():
                    found.append(message)
                    if len(found) == count or header(message.headers, "final") == "true":
                        return found
    finally:
        await consumer.stop()
    return found


def heard(messages: list[Any]) -> float:
    kinds = [(m.value, header(m.headers, "content-type")) for m in messages if m.value]
    return sum(decode(value, kind).seconds for value, kind in kinds)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("FLAC", "PCM_16")],
)
def test_chunks_arrive_before_the_pipe_ends(
    container: str, subtype: str, topics: dict[str, str]
) -> None:
    data, key = encode(SONG, RATE, container, subtype), uuid4().hex
    with producing(topics, "--stream-id", key) as process:
        assert process.stdin
        process.stdin.write(data[: len(data) * 2 // 3])
        process.stdin.flush()
        assert len(asyncio.run(_chunks(topics, key, 2))) == 2
        process.stdin.write(data[len(data) * 2 // 3 :])
        process.stdin.close()
        assert process.wait(60) == 0
    assert heard(asyncio.run(_chunks(topics, key, None))) == pytest.approx(30.0, abs=0.2)


def test_no_audio_in_a_pipe_is_one_line(topics: dict[str, str]) -> None:
    with producing(topics, "--stream-id", uuid4().hex) as process:
        _, errors = process.communicate(b"no sound in here\n" * 1_000, timeout=60)
    assert process.returncode == 2
    assert b"standard input: ffmpeg finds no audio" in errors


def test_memory_does_not_grow_with_the_pipe(topics: dict[str, str]) -> None:
    data, key = encode(SONG, RATE, "MP3", "MPEG_LAYER_III"), uuid4().hex
    with producing(topics, "--stream-id", key, "--codec", "flac") as process:
        assert process.stdin
        for _ in range(60):
            process.stdin.write(data)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss < 250_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /dev/stdin")
def test_classify_reads_a_pipe_and_a_process(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    song.write_bytes(encode(SONG[: 5 * RATE], RATE, "MP3", "MPEG_LAYER_III"))
    classify = f"{' '.join(GENRESTREAM)} classify --json --model mlp-seed-25"
    for script in (f"cat {song} | {classify} -", f"{classify} <(cat {song})"):
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["windows"] == 2
