import os
import sys
from collections.abc import Iterator
from pathlib import Path

import absl.logging
import pytest
from hypothesis import settings

from services.kafka.embedded_broker import embedded_broker
from tests.faults.brokers import Broker, start_kafka
from tests.faults.kafka import KafkaUnavailable

# Searching from a fixed seed: a run is repeatable, and as slow as its examples are.
settings.register_profile("genrestream", deadline=None, derandomize=True)
settings.load_profile("genrestream")

# TensorFlow's log handler closes its stream whenever logging is configured again, unless that is
# a standard one. Imported by a test it holds pytest's capture file, and all tests after it fail.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

ROOT = Path(__file__).parents[1]


FAULT_SCALE = {"streams": 10, "seconds": 12.0, "faults": 4, "seed": 0}
#: Of the test that compares a database with the log; the full size is 60, 6 and 10.
HISTORY_SCALE = {"stations": 10, "hours": 0.5, "kills": 1}
BROKERS = ("embedded", "kafka")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one test body run on either broker."""
    parser.addoption(
        "--broker",
        choices=[*BROKERS, "both"],
        default="embedded",
        help="what the broker tests run on: the embedded broker, Apache Kafka, or both in turn",
    )
    for suite, scale in (("fault", FAULT_SCALE), ("history", HISTORY_SCALE)):
        for name, default in scale.items():
            parser.addoption(
                f"--{suite}-{name}",
                type=type(default),
                default=default,
                help=f"{name} of the {suite} tests (default {default})",
            )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that need a broker on the chosen one."""
    if "brokers" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--broker")
        kinds = BROKERS if chosen == "both" else (chosen,)
        metafunc.parametrize("brokers", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def _history_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what recorders write out of the user's own history."""
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture
def broker_kind(request: pytest.FixtureRequest) -> str:
    """Name of the broker that `brokers` is the address of."""
    return str(request.node.callspec.params["brokers"])


@pytest.fixture(scope="session")
def brokers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a broker that all tests share, each with its own topics."""
    if request.param == "embedded":
        with embedded_broker() as address:
            yield address
    elif named := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield named
    else:
        kafka = kafka_of_our_own(tmp_path_factory)
        yield kafka.address
        kafka.stop()


def kafka_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Broker:
    """Start an Apache Kafka, or skip the tests that ask for it."""
    try:
        return start_kafka(tmp_path_factory.mktemp("kafka"))
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Find the folder of audio and tables that are not part of the project."""
    named = os.environ.get("GTZAN_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no audio data in {folder}: name its folder by GTZAN_DATA")
    return folder
