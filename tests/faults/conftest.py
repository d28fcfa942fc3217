from collections.abc import Iterator

import pytest

from tests.conftest import FAULT_SCALE, kafka_of_our_own
from tests.faults.brokers import Broker
from tests.faults.load import Scale


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> Scale:
    """Size of the load and number of faults, as the command line says."""
    return Scale(**{name: request.config.getoption(f"--fault-{name}") for name in FAULT_SCALE})


@pytest.fixture
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run an Apache Kafka of this test's own, to be killed and paused."""
    broker = kafka_of_our_own(tmp_path_factory)
    yield broker
    broker.stop()
