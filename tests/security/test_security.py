"""TLS and SASL on Apache Kafka: the system works, and a refusal is one line without secrets."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.audio import music
from tests.broker.shell import genrestream, running
from tests.broker.test_errors import assert_one_line
from tests.faults.kafka import KafkaUnavailable
from tests.security.kafka import PASSWORD, SecureKafka, make_certificates

pytestmark = [pytest.mark.broker, pytest.mark.kafka]

WRONG_PASSWORD = "wrong-horse-battery-staple"  # noqa: S105 - it opens nothing
WORKERS = (["worker", "extractor"], ["worker", "classifier"])
CLIENTS = (["topics", "create"], ["listen"], ["produce", "song.wav"])


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    try:
        broker = SecureKafka(tmp_path_factory.mktemp("secure-kafka"))
        broker.start()
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))
    assert genrestream("topics", "create", environment=broker.variables("MUTUAL")).returncode == 0
    yield broker
    broker.stop()


@pytest.fixture(scope="module", autouse=True)
def song(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("songs")
    soundfile.write(folder / "song.wav", music(7.0, 22_050), 22_050)
    before = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("SCRAM", "SCRAM-SHA-512"), ("SCRAM", "SCRAM-SHA-256"), ("PLAIN", "PLAIN"), ("MUTUAL", None)],
)
def test_the_whole_system(kafka: SecureKafka, listener: str, mechanism: str | None) -> None:
    """Every client of ours, with log level DEBUG: none of them shows the password."""
    environment = kafka.variables(
        listener,
        GENRESTREAM_TOPIC_PREFIX=f"{listener}.{mechanism}.".lower(),
        GENRESTREAM_LOG_LEVEL="DEBUG",
        **({"KAFKA_SASL_MECHANISM": mechanism} if mechanism else {}),
    )
    demo = genrestream("demo", "--json", "song.wav", environment=environment, seconds=90)
    assert demo.returncode == 0, demo.stderr
    assert demo.stdout.count("\n") == 3
    logs = [
        _log_of_a_start(["worker", service], environment) for service in ("extractor", "classifier")
    ]
    for text in (demo.stderr, *logs):
        assert PASSWORD not in text
    assert "aiokafka" in logs[0], "nothing of the client was logged: this test sees no secret"


def _log_of_a_start(command: list[str], environment: dict[str, str]) -> str:
    """Run a worker until it is ready; return its log."""
    with running(*command, environment=environment) as process:
        assert process.stderr
        os.set_blocking(process.stderr.fileno(), False)
        text, deadline = b"", time.monotonic() + 60
        while b" ready: " not in text and time.monotonic() < deadline:
            text += process.stderr.read() or b""
            time.sleep(0.02)
    assert b" ready: " in text, text.decode()
    return text.decode()


@pytest.mark.parametrize("command", [*WORKERS, *CLIENTS], ids=" ".join)
def test_wrong_password(kafka: SecureKafka, command: list[str]) -> None:
    environment = kafka.variables(
        "SCRAM", KAFKA_SASL_PASSWORD=WRONG_PASSWORD, GENRESTREAM_LOG_LEVEL="DEBUG"
    )
    result = genrestream(*command, environment=environment)
    assert_one_line(result, kafka.ports["SCRAM"], "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
    assert WRONG_PASSWORD not in result.stdout + result.stderr


@pytest.mark.parametrize("command", [*WORKERS, *CLIENTS], ids=" ".join)
def test_unknown_authority(kafka: SecureKafka, command: list[str], tmp_path: Path) -> None:
    other = str(make_certificates(tmp_path / "other") / "ca.pem")
    result = genrestream(*command, environment=kafka.variables("SCRAM", KAFKA_SSL_CAFILE=other))
    assert_one_line(result, f"KAFKA_SSL_CAFILE='{other}'", "not signed by")


@pytest.mark.parametrize("command", [*WORKERS, *CLIENTS], ids=" ".join)
def test_plaintext_to_a_port_of_tls(kafka: SecureKafka, command: list[str]) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.ports["SCRAM"]}
    result = genrestream(*command, environment=environment)
    assert_one_line(result, "speaks TLS", "KAFKA_SECURITY_PROTOCOL=PLAINTEXT", "SASL_SSL")


def test_the_systems_own_authorities_are_the_default(kafka: SecureKafka) -> None:
    environment = kafka.variables("SCRAM")
    del environment["KAFKA_SSL_CAFILE"]
    assert_one_line(
        genrestream("listen", environment=environment), "KAFKA_SSL_CAFILE, which is not set,"
    )


def test_tls_to_a_port_without(kafka: SecureKafka) -> None:
    environment = kafka.variables("SCRAM", KAFKA_BOOTSTRAP_SERVERS=kafka.address)
    result = genrestream("listen", environment=environment)
    assert_one_line(result, "speaks no TLS", "KAFKA_SECURITY_PROTOCOL=SASL_SSL")


def test_no_sasl_to_a_port_that_wants_it(kafka: SecureKafka) -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.ports["PLAIN"]}
    result = genrestream("listen", environment=environment)
    assert_one_line(result, "closed the connection", "KAFKA_SECURITY_PROTOCOL=PLAINTEXT")


def test_sasl_to_a_port_that_wants_none(kafka: SecureKafka) -> None:
    environment = kafka.variables("PLAIN", KAFKA_BOOTSTRAP_SERVERS=kafka.address)
    result = genrestream("listen", environment=environment)
    assert_one_line(result, "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT")


def test_a_mechanism_that_is_not_offered(kafka: SecureKafka) -> None:
    environment = kafka.variables("SCRAM", KAFKA_SASL_MECHANISM="PLAIN")
    result = genrestream("listen", environment=environment)
    assert_one_line(result, "does not offer KAFKA_SASL_MECHANISM=PLAIN")


def test_a_missing_client_certificate(kafka: SecureKafka) -> None:
    environment = kafka.variables("MUTUAL")
    del environment["KAFKA_SSL_CERTFILE"], environment["KAFKA_SSL_KEYFILE"]
    assert_one_line(genrestream("listen", environment=environment), "KAFKA_SSL_CERTFILE")


def test_a_certificate_of_another_host(kafka: SecureKafka) -> None:
    port = kafka.ports["SCRAM"].rpartition(":")[2]
    environment = kafka.variables("SCRAM", KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.2:{port}")
    result = genrestream("listen", environment=environment)
    assert_one_line(result, "KAFKA_BOOTSTRAP_SERVERS")
