"""docker compose up: works, scales, survives kills without a missing event, and is locked down."""

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from schemas import GenrePrediction, decode_event
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.settings import Settings, load_settings
from tests.broker.harness import Message, encoded, music, pcm_stream, run
from tests.compose.stack import SERVICES, ContainerCrew, Stack, wait_for
from tests.faults.harness import Outcome, running
from tests.faults.load import Scale, crowd, portions

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

SCALE = Scale(streams=10, seconds=12.0, faults=4, seed=7)
FINISH_SECONDS = 180.0


@pytest.fixture
def settings(stack: Stack) -> Settings:
    return load_settings(bootstrap_servers=stack.brokers, partitions=8, idle_timeout_seconds=3600.0)


def test_audio_in_labels_out(settings: Settings) -> None:
    messages = [
        *pcm_stream("by-aiokafka", music(7.0), 22_050),
        Message(encoded(music(4.0)), b"a-file", [("final", b"true")]),
    ]
    collected = run(
        settings, messages, lambda c: bool(c.final("by-aiokafka") and c.final("a-file"))
    )
    assert len(collected.predictions["by-aiokafka"]) == 3
    assert len(collected.predictions["a-file"]) == 2


@pytest.mark.skipif(not shutil.which("kcat"), reason="there is no kcat on the path")
def test_kcat(stack: Stack, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(encoded(music(4.0)))

    command = ["kcat", "-P", "-b", stack.brokers, "-t", "audio.chunks", "-k", "by-kcat"]
    arguments = ["-H", "final=true", str(tmp_path / "song.wav")]
    subprocess.run([*command, *arguments], check=True, timeout=30)
    assert asyncio.run(_final(settings, "by-kcat")).windows == 2


async def _final(settings: Settings, stream_id: str) -> GenrePrediction:
    """Read predictions from the beginning until a stream ends."""
    reader = TopicReader(settings, [Topics(settings.topic_prefix).predictions])
    await reader.start(from_beginning=True)
    try:
        async with asyncio.timeout(60):
            async for message in reader.messages():
                prediction = decode_event(message.value, GenrePrediction)
                if prediction.stream_id == stream_id and prediction.final:
                    return prediction
    finally:
        await reader.stop()
    raise AssertionError(f"{stream_id} did not end")


@pytest.mark.parametrize("service", SERVICES)
def test_a_worker_may_do_little(stack: Stack, service: str) -> None:
    for container in stack.containers(service):
        found = stack.inspect(container)
        assert found["Config"]["User"] == "10001:10001"
        assert found["HostConfig"]["ReadonlyRootfs"]
        assert found["HostConfig"]["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in found["HostConfig"]["SecurityOpt"]
        assert found["HostConfig"]["Memory"] > 0
        script = (
            "import os, models, pathlib; folder = pathlib.Path(models.__file__).parent\n"
            "for path in (folder, *folder.iterdir()): assert not os.access(path, os.W_OK), path\n"
            "status = pathlib.Path('/proc/self/status').read_text()\n"
            "assert 'CapEff:\\t0000000000000000' in status and os.getuid() == 10001"
        )
        done = stack.compose("exec", "-T", service, "python", "-c", script)
        assert done.returncode == 0


def test_health_and_metrics(stack: Stack, settings: Settings) -> None:
    for service in SERVICES:
        for container in stack.containers(service):
            assert stack.is_healthy(container)
            assert stack.get(container, "/readyz").strip() == "ready"
            assert stack.get(container, "/healthz").strip() == "alive"
    name = "genrestream_windows_total"
    before = stack.total("extractor", name)
    collected = run(
        settings, pcm_stream("measured", music(10.0), 22_050), lambda c: bool(c.final("measured"))
    )
    assert len(collected.predictions["measured"]) == 4
    assert stack.total("extractor", name) == before + 4
    lag = "genrestream_consumer_group_lag_messages"
    for service in SERVICES:
        wait_for(lambda: stack.total(service, lag, max) == 0, 30)  # noqa: B023


def test_three_extractors_share_the_partitions(stack: Stack, settings: Settings) -> None:
    stack.up("--no-recreate", "--scale", "extractor=3")
    assert len(stack.containers("extractor")) == 3
    held = "genrestream_assigned_partitions"
    wait_for(lambda: stack.total("extractor", held) == 8, 60)
    assert stack.total("extractor", held, min) >= 2
    streams = [f"scaled-{i}" for i in range(12)]
    messages = [m for name in streams for m in pcm_stream(name, music(3.5), 22_050)]
    collected = run(settings, messages, lambda c: all(c.final(name) for name in streams))
    assert all(collected.final(name) for name in streams)


def test_killed_workers_are_restarted_and_nothing_is_missing(
    stack: Stack, settings: Settings
) -> None:
    asyncio.run(_kill_workers(stack, settings)).assert_exact()


async def _kill_workers(stack: Stack, settings: Settings) -> Outcome:
    """Kill every worker once, while audio flows."""
    crew = ContainerCrew(stack)
    async with running(settings, crew=crew) as run:
        await run.until(lambda: len(run.chunks) > 0, 30)
        run.sent = len(run.chunks)
        *parts, last = portions(crowd(SCALE), len(crew.names) + 1)
        for name, part in zip(crew.names, parts, strict=True):
            await run.send(part)
            assert await run.until(lambda: bool(run.predictions), 60), "nothing comes out"
            await crew.restart(name, signal.SIGKILL)
        await run.send(last)
        return await run.finish(FINISH_SECONDS)


def test_a_killed_broker_is_restarted_and_nothing_is_missing(
    stack: Stack, settings: Settings
) -> None:
    asyncio.run(_kill_broker(stack, settings)).assert_exact()
    for service in SERVICES:
        for container in stack.containers(service):
            wait_for(lambda: stack.is_healthy(container), 120)  # noqa: B023


async def _kill_broker(stack: Stack, settings: Settings) -> Outcome:
    (broker,) = stack.containers("broker")
    async with running(settings, crew=ContainerCrew(stack)) as run:
        await run.until(lambda: len(run.chunks) > 0, 30)
        run.sent = len(run.chunks)
        streams = [Message(m.value, b"b-" + (m.key or b""), m.headers) for m in crowd(SCALE)]
        first, second, third = portions(streams, 3)
        await run.feed(first, 2)
        sending = asyncio.create_task(run.send(second))
        await asyncio.to_thread(stack.kill, broker)
        await asyncio.to_thread(wait_for, lambda: stack.is_healthy(broker), 120)
        await sending
        await run.send(third)
        return await run.finish(FINISH_SECONDS)
