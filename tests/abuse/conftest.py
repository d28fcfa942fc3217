from collections.abc import Iterator

import pytest

from tests.abuse.beside import Workers, limited_workers
from tests.broker.harness import fresh_settings
from tests.faults.load import MODEL


@pytest.fixture(scope="session")
def workers(brokers: str) -> Iterator[Workers]:
    """Run one worker of each service; most cases abuse the same ones, one after another."""
    settings = fresh_settings(
        brokers, "abuse.", model=MODEL, partitions=2, idle_timeout_seconds=30.0
    )
    with limited_workers(settings) as running:
        yield running
