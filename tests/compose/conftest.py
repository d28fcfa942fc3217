from collections.abc import Iterator

import pytest

from tests.compose.images import missing_engine
from tests.compose.stack import Stack, running_stack


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    if reason := missing_engine():
        pytest.skip(f"{reason}: install Docker with compose v2 to run the stack")


@pytest.fixture(scope="module")
def stack(_engine: None) -> Iterator[Stack]:
    """Run the plain stack for the tests of a module."""
    with running_stack("genrestream-test") as running:
        yield running
