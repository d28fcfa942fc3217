from collections.abc import Iterator

import pytest

from services.settings import Settings
from tests.broker.harness import fresh_settings, running_workers


@pytest.fixture(scope="session")
def system(brokers: str) -> Iterator[Settings]:
    """Run the system; its streams are told apart by their ids."""
    settings = fresh_settings(brokers, "system.")
    with running_workers(settings, "extractor", "classifier") as workers:
        yield settings
        for service, process in workers.items():
            assert process.poll() is None, f"the {service} died during the tests"
