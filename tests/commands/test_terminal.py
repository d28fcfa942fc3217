"""Standard output holds the results, whatever else is a terminal."""

import json
from pathlib import Path

import pytest

from tests.audio import encode, integers, music
from tests.broker.shell import genrestream
from tests.commands.terminals import on_terminal

MODEL = ("--model", "mlp-seed-25")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs") / "rock"
    folder.mkdir()
    for number in range(2):
        data = encode(integers(music(4.0, 22_050)), 22_050, "WAV", "PCM_16")
        (folder / f"{number}.wav").write_bytes(data)
    return folder


def test_each_line_of_classify_goes_to_the_file_it_is_sent_to(songs: Path) -> None:
    done = on_terminal("classify", "--json", *MODEL, str(songs))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["file"]).name for line in lines] == ["0.wav", "1.wav"]
    assert b"classifying" in done.stderr
    assert done.returncode == 0


@pytest.mark.machine
@pytest.mark.parametrize(
    "options", [(), ("--labels-from-dirs",), ("--segments",), ("--csv",), ("--segments", "--json")]
)
def test_other_forms_of_classify(songs: Path, options: tuple[str, ...]) -> None:
    file = str(songs / "0.wav")
    done = on_terminal("classify", *MODEL, *options, file)
    assert done.stdout.decode() == genrestream("classify", *MODEL, *options, file).stdout != ""


@pytest.mark.machine
def test_extract_says_what_it_wrote(songs: Path, tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    arguments = ("-o", str(output), "--feature-set", "seed-25", "--processes", "1")
    done = on_terminal("extract", str(songs.parent), *arguments)
    assert done.stdout.decode() == f"{output}: 4 windows of 2 tracks\n"
    assert b"extracting" in done.stderr


def test_settings_are_results(songs: Path) -> None:
    del songs
    assert b"KAFKA_BOOTSTRAP_SERVERS=" in on_terminal("settings").stdout


@pytest.mark.machine
def test_the_demo_prints_its_labels(songs: Path) -> None:
    done = on_terminal("demo", "--json", *MODEL, str(songs / "0.wav"))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["final"] for line in lines] == [False, True]


@pytest.fixture(scope="module")
def broker(brokers: str, songs: Path) -> dict[str, str]:
    """Topics with audio that nobody has read."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": brokers, "GENRESTREAM_TOPIC_PREFIX": "terminal-"}
    assert genrestream("topics", "create", environment=environment).returncode == 0
    sent = genrestream("produce", str(songs / "0.wav"), environment=environment)
    assert sent.returncode == 0, sent.stderr
    return environment


@pytest.mark.machine
@pytest.mark.parametrize(
    "arguments",
    [
        ("lag",),
        ("lag", "--json"),
        ("dead-letters", "list"),
        ("stations", "list"),
        ("topics", "create"),
    ],
)
def test_what_is_asked_of_a_broker(broker: dict[str, str], arguments: tuple[str, ...]) -> None:
    done = on_terminal(*arguments, environment=broker)
    plain = genrestream(*arguments, environment=broker)
    assert done.returncode == plain.returncode == 0, plain.stderr
    assert done.stdout.decode() == plain.stdout
