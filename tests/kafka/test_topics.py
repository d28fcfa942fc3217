"""A broker that has just come up is waited for."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError

from services.kafka import topics


class Client:
    """An admin client whose cluster names its broker in the third answer."""

    def __init__(self, answers: int) -> None:
        self.answers: int = 1
        self.cluster = SimpleNamespace(brokers=lambda: self.answers >= answers)

    async def force_metadata_update(self) -> None:
        """Get an answer."""
        self.answers += 1


def wait(answers: int) -> int:
    client = Client(answers)
    admin: Any = SimpleNamespace(_client=client)
    asyncio.run(topics._wait_for_brokers(admin))
    return client.answers


def test_a_broker_that_comes_up_is_waited_for() -> None:
    assert wait(1) == 1
    assert wait(3) == 3


def test_a_broker_that_stays_away_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_REGISTRATION_SECONDS", 0.2)
    with pytest.raises(NodeNotReadyError):
        wait(10_000)
