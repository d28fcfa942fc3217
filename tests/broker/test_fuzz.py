"""A small run of ``make fuzz``."""

import asyncio
import logging

import pytest

from tests.broker.harness import fresh_settings
from tests.faults.fuzz import fuzz
from tests.faults.mutations import Fuzzer

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

MESSAGES = 3000
SEED = 1


def test_every_fuzzed_message_is_answered_and_no_worker_ends_or_grows(brokers: str) -> None:
    settings = fresh_settings(brokers, "fuzz.", idle_timeout_seconds=3600.0)
    report = asyncio.run(fuzz(settings, MESSAGES, SEED, logging.getLogger(__name__).info))
    report.check()
    assert len(report.dead_letters) >= 5, "too few kinds of refusal to mean something"


def test_a_seed_gives_the_same_messages() -> None:
    once, again = (list(Fuzzer(seed=3).messages(200)) for _ in range(2))
    assert once == again
    assert {message.topic for message in once} == {"audio.chunks", "audio.features"}
    assert list(Fuzzer(seed=4).messages(200)) != once
