"""A mistake of the user is one clear line on stderr, and the exit code is not 0."""

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.kafka.embedded_broker import embedded_broker, free_port
from tests.broker.shell import genrestream


def assert_one_line(result: subprocess.CompletedProcess[str], *fragments: str) -> None:
    """Check that a command failed with one line that says all of this."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode != 0
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for fragment in fragments:
        assert fragment in lines[0]


pytestmark = pytest.mark.broker

NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


@pytest.mark.parametrize(
    "command",
    [
        ["listen"],
        ["topics", "create"],
        ["worker", "extractor"],
        ["worker", "classifier"],
        ["demo"],
        ["up"],
    ],
    ids=" ".join,
)
def test_no_broker(command: list[str]) -> None:
    environment = NOWHERE | {"GENRESTREAM_GATEWAY_PORT": str(free_port())}
    result = genrestream(*command, environment=environment)
    assert_one_line(result, "no Kafka broker answers at 127.0.0.1:1", "KAFKA_BOOTSTRAP_SERVERS")


def test_no_broker_to_produce_to(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(22_050), 22_050)
    result = genrestream("produce", str(tmp_path / "a.wav"), environment=NOWHERE)
    assert_one_line(result, "no Kafka broker answers")


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("GENRESTREAM_COLOUR", "blue", "unknown setting GENRESTREAM_COLOUR: remove it"),
        ("GENRESTREAM_PARTITIONS", "zero", "valid integer"),
        ("GENRESTREAM_PARTITIONS", "0", "greater than or equal to 1"),
        ("GENRESTREAM_TOPIC_PREFIX", "a/b", "GENRESTREAM_TOPIC_PREFIX='a/b'"),
        ("GENRESTREAM_FEATURE_SETS", "mfcc", "choose seed-25, librosa-52, musicnn-200"),
        ("GENRESTREAM_LOG_LEVEL", "LOUD", "DEBUG"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "write host:port"),
    ],
)
def test_bad_setting(variable: str, value: str, remedy: str) -> None:
    assert_one_line(genrestream("listen", environment={variable: value}), variable, remedy)


def test_a_port_in_use() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = str(server.getsockname()[1])
        assert_one_line(genrestream("up", "--port", port), f"port {port} is in use", "--port")


def test_a_port_of_the_page_in_use() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        result = genrestream("up", environment={"GENRESTREAM_GATEWAY_PORT": str(port)})
        assert_one_line(result, f"GENRESTREAM_GATEWAY_PORT={port} ", "choose another port")
        assert "is up" not in result.stderr


@pytest.mark.parametrize("command", [["worker", "classifier"], ["demo"], ["up"]], ids=" ".join)
def test_a_missing_model(command: list[str]) -> None:
    result = genrestream(*command, "--model", "nope.onnx")
    assert_one_line(result, "there is no model nope.onnx", "extra-trees-seed-25")


def test_a_model_of_another_feature_set() -> None:
    environment = {"GENRESTREAM_FEATURE_SETS": "seed-25"}
    result = genrestream("worker", "classifier", environment=environment)
    assert_one_line(result, "needs feature set musicnn-200", "GENRESTREAM_FEATURE_SETS=seed-25")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "noise.onnx").write_bytes(b"no model")
    result = genrestream("worker", "classifier", "--model", str(tmp_path / "noise.onnx"))
    assert_one_line(result, "noise.onnx is no model that ONNX Runtime loads")


def test_nothing_to_classify(tmp_path: Path) -> None:
    assert_one_line(genrestream("classify", str(tmp_path / "none.wav")), "no file or folder")
    assert_one_line(genrestream("classify", str(tmp_path)), "no audio in")


def test_a_missing_topic() -> None:
    with embedded_broker(free_port()) as address:
        environment = {"KAFKA_BOOTSTRAP_SERVERS": address}
        result = genrestream("worker", "extractor", environment=environment)
    assert_one_line(result, "topic audio.chunks does not exist", "genrestream topics create")


def test_a_tampered_model(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "models" / "mlp-seed-25.onnx"
    copy = tmp_path / shipped.name
    copy.write_bytes(shipped.read_bytes()[:-1] + b"\0")
    copy.with_suffix(".md").write_bytes(shipped.with_suffix(".md").read_bytes())
    for command in (["worker", "classifier"], ["worker", "extractor"], ["demo"]):
        result = genrestream(*command, "--model", str(copy), environment=NOWHERE)
        assert_one_line(result, "mlp-seed-25.onnx is not the file that its card is of")


@pytest.mark.parametrize("stream_id", ["", 1025 * "a", 513 * "ü", "two\nlines"])
def test_a_stream_id_that_no_service_takes(tmp_path: Path, stream_id: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(22_050), 22_050)
    arguments = ["produce", "--stream-id", stream_id, str(tmp_path / "a.wav")]
    assert_one_line(genrestream(*arguments, environment=NOWHERE), "--stream-id")


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=" ".join)
def test_a_terminal_of_ascii(tmp_path: Path, arguments: list[str]) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * 22_050)
    soundfile.write(tmp_path / "Jóga.wav", noise, 22_050)
    environment = {"PYTHONIOENCODING": "ascii", "LANG": "C"}
    song = str(tmp_path / "Jóga.wav")
    result = genrestream("demo", *arguments, song, environment=environment, seconds=90)
    assert result.returncode == 0, result.stderr
    assert "final" in result.stdout
    assert ("Jóga" if arguments else "J?ga") in result.stdout


_FORGOTTEN = """
import asyncio, gc, ssl
from services.cli import quiet_libraries

async def forget():
    future = asyncio.get_running_loop().create_future()
    future.set_exception({error})
    del future
    gc.collect()

quiet_libraries()
asyncio.run(forget())
"""


@pytest.mark.parametrize(("error", "is_told"), [("ssl.SSLError('x')", False), ("KeyError()", True)])
def test_asyncio_tells_of_mistakes_and_not_of_connections_that_ended(
    error: str, is_told: bool
) -> None:
    command = [sys.executable, "-c", _FORGOTTEN.format(error=error)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ("never retrieved" in done.stderr) == is_told
