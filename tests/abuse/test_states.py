"""Changelogs in which somebody else has written: workers recover all the same."""

import asyncio
import json
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.kafka.groups import changelog, classifier_group, extractor_group
from tests.abuse.beside import Beside, limited_workers, run
from tests.broker.harness import fresh_settings
from tests.faults.load import MODEL

pytestmark = [pytest.mark.broker, pytest.mark.abuse, pytest.mark.timeout(300)]

_FAR = 9 * 10**18


def _state(service: str, offset: int) -> bytes:
    """Return a saved state that is well-formed, and of the future."""
    origin = {"topic": "audio.chunks", "partition": 0, "offset": offset}
    cursor: dict[str, Any] = {
        "origin": origin,
        "window_index": _FAR,
        "offset": offset,
        "heard": {"timestamp_ms": _FAR, "sample_rate": 22_050},
        "closes_at": offset,
    }
    score = {"origin": origin, "next_window": _FAR, "windows": 1, "total": [1.0]}
    saved = cursor if service == "extractor" else score
    return json.dumps({"saved_at": 1e300, "state": saved}).encode()


def _forgeries(service: str, names: list[str]) -> list[tuple[bytes | None, bytes | None]]:
    good = [(json.dumps(f"0/{name}").encode(), _state(service, _FAR)) for name in names]
    keys = [b"junk", b"\xff\xfe", b"", b"null", b"17", b'"no slash"', b'"x/y"', b'["a"]', None]
    keys += [json.dumps("\U0010ffff/\x1b[2J" * 1000).encode(), b'"0/' + b"k" * 500_000 + b'"']
    values = [b"", b"junk", b"\xff", b"null", b"{}", None, _state(service, -1), b"[" * 100_000]
    pairs = [(key, value) for key in keys for value in values]
    return [*good, *(pair for pair in pairs if pair != (None, None))]  # aiokafka sends no such


def test_forged_states(brokers: str) -> None:
    settings = fresh_settings(brokers, "forged.", model=MODEL, partitions=2)
    groups = {
        "extractor": extractor_group(settings),
        "classifier": classifier_group(settings, MODEL),
    }

    async def forge() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=brokers, max_request_size=6 << 20
        ) as producer:
            for service, group in groups.items():
                topic = changelog(group, service)
                for key, value in _forgeries(service, ["forged-good-0", "other"]):
                    await producer.send(topic, value=value, key=key, partition=0)
            await producer.flush()

    async def case(_: Beside) -> None:
        """Play the stream whose state was forged beside others: `Beside` checks its windows."""

    asyncio.run(forge())
    with limited_workers(settings) as workers:
        begun = time.monotonic()
        run(workers, "forged", case)
        assert time.monotonic() - begun < 120
