"""Commands from the shell, and what they print."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.kafka.clients import reading
from services.kafka.topics import Topics
from services.settings import Settings
from tests.broker.harness import music
from tests.broker.shell import genrestream, running

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def four_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """30 s each: WAV, FLAC, Ogg and MP3, 22.05 and 44.1 kHz, mono and stereo."""
    folder = tmp_path_factory.mktemp("audio")
    mono = music(30.0)
    high = music(30.0, 44_100, seed=2)
    stereo = np.stack([high, 0.5 * high], axis=1)
    soundfile.write(folder / "A.wav", mono, 22_050)
    soundfile.write(folder / "B.flac", stereo, 44_100, subtype="PCM_24")
    soundfile.write(folder / "C.ogg", np.stack([mono, mono], axis=1), 22_050)
    soundfile.write(folder / "D.mp3", high, 44_100)
    return sorted(folder.iterdir())


def test_demo_and_classify_agree_on_files_of_four_formats(four_files: list[Path]) -> None:
    demo = genrestream("demo", "--json", *map(str, four_files), seconds=90)
    assert demo.returncode == 0, demo.stderr
    predictions = [json.loads(line) for line in demo.stdout.splitlines()]
    offline = genrestream("classify", "--json", *map(str, four_files), seconds=90)
    assert offline.returncode == 0, offline.stderr
    answers = [json.loads(line) for line in offline.stdout.splitlines()]
    assert [Path(answer["file"]) for answer in answers] == four_files
    for file, answer in zip(four_files, answers, strict=True):
        of_file = [p for p in predictions if p["stream_id"] == file.stem]
        assert [p["window_index"] for p in of_file] == list(range(10))
        assert [p["final"] for p in of_file] == [False] * 9 + [True]
        assert of_file[-1]["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)
        assert of_file[-1]["label"] == answer["label"]


def test_demo_says_which_file_was_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "blip.wav", music(0.1), 22_050)
    result = genrestream("demo", str(tmp_path / "blip.wav"), seconds=60)
    assert result.returncode == 2
    assert "blip: refused: the stream ended after 0.1 s" in result.stderr
    assert "Traceback" not in result.stderr


def test_classify_reports_unreadable_files_and_goes_on(tmp_path: Path) -> None:
    for genre in ("blues", "jazz"):
        (tmp_path / genre).mkdir()
        soundfile.write(tmp_path / genre / "a.wav", music(3.0), 22_050)
    (tmp_path / "jazz" / "broken.wav").write_bytes(b"RIFF no audio")
    result = genrestream("classify", "--json", "--labels-from-dirs", str(tmp_path))
    assert result.returncode == 1
    *answers, summary = [json.loads(line) for line in result.stdout.splitlines()]
    assert [("error" in answer) for answer in answers] == [False, False, True]
    assert summary["files"] == 3
    assert "1 of 3 files could not be read" in result.stderr


def test_produce_then_listen(system: Settings, four_files: list[Path]) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": system.brokers,
        "GENRESTREAM_TOPIC_PREFIX": system.topic_prefix,
    }
    sent = genrestream(
        "produce",
        str(four_files[0]),
        "--stream-id",
        "from-cli",
        "--codec",
        "ogg",
        environment=environment,
    )
    assert sent.returncode == 0, sent.stderr
    with running(
        "listen", "--json", "--from-beginning", "--stream-id", "from-cli", environment=environment
    ) as listener:
        assert listener.stdout
        lines = [json.loads(listener.stdout.readline()) for _ in range(10)]
    assert [line["window_index"] for line in lines] == list(range(10))
    assert lines[-1]["final"]


def test_produce_raw_pcm_from_a_pipe(system: Settings) -> None:
    data = (music(3.0) * 32767).astype("<i2").tobytes()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": system.brokers,
        "GENRESTREAM_TOPIC_PREFIX": system.topic_prefix,
    }
    with running(
        "produce", "-", "--pcm", "22050:1", "--stream-id", "piped", environment=environment
    ) as p:
        _, errors = p.communicate(data, timeout=30)
        assert p.returncode == 0, errors
    with running(
        "listen", "--json", "--from-beginning", "--stream-id", "piped", environment=environment
    ) as p:
        assert p.stdout
        first, last = json.loads(p.stdout.readline()), json.loads(p.stdout.readline())
    assert (first["final"], last["final"]) == (False, True)
    assert last["probabilities"] == first["probabilities"]


@pytest.mark.parametrize("data", [b"", b"x"], ids=["nothing", "half a sample"])
def test_an_empty_pipe_is_an_error_and_no_stream(system: Settings, data: bytes) -> None:
    """The program before the pipe has failed: an end of nothing would be a dead letter."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": system.brokers,
        "GENRESTREAM_TOPIC_PREFIX": system.topic_prefix,
    }

    async def ends() -> dict[object, int]:
        async with reading(system, [Topics(system.topic_prefix).chunks]) as reader:
            return {tp: span.stop for tp, span in (await reader.offsets()).items()}

    before = asyncio.run(ends())
    with running("produce", "-", "--pcm", "22050:1", environment=environment) as p:
        _, errors = p.communicate(data, timeout=30)
    assert p.returncode == 2
    assert f"no audio came on standard input, {len(data)} bytes".encode() in errors
    assert asyncio.run(ends()) == before


def test_an_archive_keeps_its_own_clock(system: Settings, four_files: list[Path]) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": system.brokers,
        "GENRESTREAM_TOPIC_PREFIX": system.topic_prefix,
    }
    sent = genrestream(
        *("produce", str(four_files[1]), "--stream-id", "archive"),
        *("--captured-at", "1999-12-31T23:59:50+01:00"),
        environment=environment,
    )
    assert sent.returncode == 0, sent.stderr
    with running(
        *("listen", "--segments", "--json", "--from-beginning", "--stream-id", "archive"),
        environment=environment,
    ) as listener:
        assert listener.stdout
        segments = [json.loads(listener.stdout.readline())]
        while not segments[-1]["final"]:
            segments.append(json.loads(listener.stdout.readline()))
    assert segments[0]["began_at"] == "1999-12-31T22:59:50.000Z"
    assert segments[-1]["ended_at"] == "1999-12-31T23:00:20.000Z"
    assert sum(segment["heard_seconds"] for segment in segments) == 30.0


def test_a_time_without_a_zone_or_for_two_files_is_refused(four_files: list[Path]) -> None:
    unclear = genrestream("produce", str(four_files[0]), "--captured-at", "1999-12-31T23:59:50")
    assert unclear.returncode == 2
    assert "has no time zone" in unclear.stderr
