"""Heads beside ours: another team's, with a classifier of its own, and tags by the same worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from schemas import GenrePrediction, decode_event
from services.cli import app
from services.console.stack import start_worker, stop_workers, worker_environment
from services.console.synthesis import SAMPLE_RATE as CLIP_RATE
from services.console.synthesis import synthesise_clip
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.settings import Settings
from tests.audio import noise, tone
from tests.broker import shell
from tests.broker.harness import (
    DEADLINE_SECONDS,
    Message,
    encoded,
    fresh_settings,
    running_workers,
    send,
)
from training.command_line import register

pytestmark = pytest.mark.broker

RATE = 16_000
TRACKS = 8


def write_folders(root: Path) -> Path:
    """Write a folder of tones and one of noise, 3 s a file."""
    for number in range(TRACKS):
        level = np.float32(0.05 + 0.1 * number)
        sounds = {
            "tones": tone(3.0, RATE, hertz=150.0 * 1.5**number) * level,
            "noise": noise(3.0, RATE, seed=number) * level,
        }
        for label, samples in sounds.items():
            path = root / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, RATE)
    return root


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a head by the commands that docs/heads.md tells."""
    folder = tmp_path_factory.mktemp("heads")
    table, model = folder / "table.csv", folder / "tones-or-noise.onnx"
    if "train" not in {command.name for command in app.registered_commands}:
        register(app)
    for arguments in (
        [
            "extract",
            write_folders(folder / "sounds"),
            "--feature-set",
            "musicnn-200-int8",
            "-o",
            table,
        ],
        [
            "train",
            "logistic",
            "--data",
            table,
            "--feature-set",
            "musicnn-200-int8",
            "--labels",
            "tones,noise",
            "-o",
            model,
        ],
    ):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
    return model


@pytest.fixture
def system(brokers: str) -> Settings:
    return fresh_settings(brokers, "heads-")


def test_two_heads_hear_one_stream(system: Settings, head: Path) -> None:
    environment = worker_environment(system)
    other = environment | {"GENRESTREAM_MODEL": str(head)}
    workers = {
        "extractor": start_worker("extractor", environment),
        "genres": start_worker("classifier", environment),
        "sounds": start_worker("classifier", other),
    }
    try:
        finals = asyncio.run(collect(system, head.stem))
    finally:
        stop_workers(workers)
    genres, sounds = finals[system.model], finals[head.stem]
    assert sounds.label == "tones"
    assert set(sounds.probabilities) == {"tones", "noise"}
    assert (genres.label, genres.probabilities) == ("unknown", {})  # a tone has no genre
    assert (genres.windows, sounds.windows) == (0, 2)
    assert genres.event_id != sounds.event_id


async def collect(system: Settings, name: str) -> dict[str, GenrePrediction]:
    """Send a tone and return the final prediction of each model."""
    reader = TopicReader(system, [Topics(system.topic_prefix).predictions])
    await reader.start()
    try:
        await send(
            system,
            [Message(encoded(tone(6.0, RATE, hertz=700.0), RATE), b"tone", [("final", b"true")])],
        )
        finals: dict[str, GenrePrediction] = {}
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for prediction in predictions(reader):
                if prediction.final:
                    finals[prediction.model.name] = prediction
                if len(finals) == 2:
                    break
    finally:
        await reader.stop()
    return finals


async def predictions(reader: TopicReader) -> AsyncIterator[GenrePrediction]:
    async for message in reader.messages():
        yield decode_event(message.value or b"", GenrePrediction)


def test_a_classifier_tags_music_by_the_shipped_head(brokers: str, tmp_path: Path) -> None:
    """And says nothing of tags of a tone, which is no music; as ``classify`` does."""
    head = "tags-musicnn-200-int8"
    system = fresh_settings(brokers, "tags-", heads=(head,), tags_top=3)
    sounds = {"tone": tone(6.0, RATE, hertz=700.0), "clip": synthesise_clip()[: 7 * CLIP_RATE]}
    rates = {"tone": RATE, "clip": CLIP_RATE}
    messages = [
        Message(encoded(sounds[name], rates[name]), name.encode(), [("final", b"true")])
        for name in sounds
    ]
    environment = worker_environment(system)
    with running_workers(system, "extractor", "classifier"):
        asyncio.run(send(system, messages))
        with shell.running(
            *("listen", "--tags", "--json", "--from-beginning"), environment=environment
        ) as listener:
            assert listener.stdout
            found: dict[str, list[dict[str, Any]]] = {name: [] for name in sounds}
            while not all(some and some[-1]["final"] for some in found.values()):
                tagged = json.loads(listener.stdout.readline())
                found[tagged["stream_id"]].append(tagged)
    assert {t["model"]["name"] for some in found.values() for t in some} == {head}
    assert [t["tags"] for t in found["tone"]] == [{}, {}]
    last = found["clip"][-1]
    assert [t["window_index"] for t in found["clip"]] == [0, 1, 2]
    assert 1 <= len(last["tags"]) <= 3
    path = tmp_path / "clip.flac"
    path.write_bytes(encoded(sounds["clip"], CLIP_RATE))
    done = shell.genrestream("classify", "--json", str(path), environment=environment)
    assert json.loads(done.stdout)["tags"] == {head: last["tags"]}
    shown = shell.genrestream("classify", str(path), environment=environment)
    first = next(iter(last["tags"]))
    assert f"    {head}  {first} {last['tags'][first]:.0%}" in shown.stdout.splitlines()[1]


def test_heads_that_do_not_fit_stop_a_worker_at_start(system: Settings) -> None:
    environment = worker_environment(system)
    for name, reason in (
        ("tags-musicnn-200", "choose another head, such as tags-musicnn-200-int8"),
        ("none", "there is no head "),
    ):
        done = shell.genrestream(
            "worker", "classifier", environment=environment | {"GENRESTREAM_HEADS": name}
        )
        assert done.returncode == 2
        assert reason in done.stderr
    both = shell.genrestream("listen", "--tags", "--segments", environment=environment)
    assert both.returncode == 2
    assert "choose one" in both.stderr
