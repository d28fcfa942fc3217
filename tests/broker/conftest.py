from collections.abc import Iterator

import pytest

from services.runtime.embedded_broker import embedded_broker
from services.runtime.settings import Settings
from tests.broker.harness import fresh_settings, running_workers


@pytest.fixture(scope="session")
def brokers() -> Iterator[str]:
    """Address of an embedded broker that all broker tests share, each with its own topics."""
    with embedded_broker() as address:
        yield address


@pytest.fixture(scope="session")
def system(brokers: str) -> Iterator[Settings]:
    """Run the system; its streams are told apart by their ids."""
    settings = fresh_settings(brokers, "system.")
    with running_workers(settings, "extractor", "classifier") as workers:
        yield settings
        for service, process in workers.items():
            assert process.poll() is None, f"the {service} died during the tests"
