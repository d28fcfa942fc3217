"""compose.secure.yaml: TLS, SASL and rights end to end; who is not let in is told why."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.audio import music
from tests.broker.shell import genrestream, running
from tests.broker.test_errors import assert_one_line
from tests.compose.stack import Stack, running_stack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

PASSWORD = "correct-horse-battery-staple"  # noqa: S105 - of a stack that lives for a test
OWN = "a-password-of-its-own"
WRONG = "wrong-horse"


@pytest.fixture(scope="module")
def secure(_engine: None) -> Iterator[Stack]:
    with running_stack(
        *("genrestream-secure-test", "compose.secure.yaml"),
        KAFKA_SASL_PASSWORD=PASSWORD,
        KAFKA_PASSWORD_EXTRACTOR=OWN,
        NEW_PASSWORD=OWN,
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(secure: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    authority = tmp_path_factory.mktemp("authority") / "ca.pem"
    secure.compose("cp", "broker:/certificates/ca.pem", str(authority))
    return {
        "KAFKA_BOOTSTRAP_SERVERS": secure.brokers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "operator",
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CAFILE": str(authority),
    }


def test_audio_in_labels_out(secure: Stack, client: dict[str, str], tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, music(7.0, 22_050), 22_050)
    sent = genrestream("produce", str(song), environment=client)
    assert sent.returncode == 0, sent.stderr
    with running("listen", "--json", "--from-beginning", environment=client) as listening:
        assert listening.stdout
        lines = (json.loads(line) for line in listening.stdout)
        assert next(line for line in lines if line["final"])["stream_id"] == "song"


def test_a_producer_that_is_added_may_send_and_no_more(
    secure: Stack, client: dict[str, str], tmp_path: Path
) -> None:
    added = secure.compose(
        *("run", "--rm", "--no-deps", "-T", "-e", "NEW_PASSWORD", "rights", "producer", "studio"),
        seconds=120,
    )
    assert "studio is a producer" in added.stdout
    song = tmp_path / "of-the-studio.wav"
    soundfile.write(song, music(4.0, 22_050), 22_050)
    studio = client | {"KAFKA_SASL_USERNAME": "studio", "KAFKA_SASL_PASSWORD": OWN}
    sent = genrestream("produce", str(song), environment=studio)
    assert sent.returncode == 0, sent.stderr
    refused = genrestream("listen", environment=studio)
    assert_one_line(refused, "the user studio may not read topic genre.predictions")


def test_a_service_has_a_user_with_its_own_rights(secure: Stack) -> None:
    done = secure.compose(
        *("run", "--rm", "--no-deps", "-T", "-e", "KAFKA_SASL_USERNAME=lag"),
        *("classifier", "worker", "classifier"),
        seconds=120,
        check=False,
    )
    assert done.returncode == 2
    assert "the user lag may not" in done.stderr + done.stdout
    assert "write topic genre.predictions" in done.stderr + done.stdout


def test_a_wrong_password(client: dict[str, str]) -> None:
    result = genrestream("listen", environment=client | {"KAFKA_SASL_PASSWORD": WRONG})
    assert_one_line(result, "KAFKA_SASL_PASSWORD")
    assert WRONG not in result.stderr


def test_a_worker_with_a_wrong_password(secure: Stack) -> None:
    done = secure.compose(
        *("run", "--rm", "--no-deps", "-T", "-e", f"KAFKA_SASL_PASSWORD={WRONG}"),
        *("extractor", "worker", "extractor"),
        seconds=120,
        check=False,
    )
    assert done.returncode == 2
    assert "KAFKA_SASL_PASSWORD" in done.stderr + done.stdout
    assert WRONG not in done.stderr + done.stdout


def test_plaintext(secure: Stack) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": secure.brokers}
    result = genrestream("listen", environment=environment)
    assert_one_line(result, "speaks TLS", "KAFKA_SECURITY_PROTOCOL=PLAINTEXT")


def test_no_log_holds_the_password(secure: Stack) -> None:
    logs = secure.logs()
    assert "ready" in logs
    assert "8 users have" in logs
    assert PASSWORD not in logs
    assert OWN not in logs
