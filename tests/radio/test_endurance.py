"""Some faults of ``python -m tests.radio.endurance``, which has all of them on 20 stations."""

import asyncio

import pytest

from features.formats.ffmpeg import ffmpeg_path
from tests.broker.harness import fresh_settings
from tests.radio.endurance import try_stations
from tests.radio.faults import FAULTS
from tests.radio.live_server import has_openssl

pytestmark = [
    pytest.mark.radio,
    pytest.mark.timeout(600),
    pytest.mark.broker,
    pytest.mark.skipif(not has_openssl(), reason="there is no openssl"),
    pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg"),
]


def test_faults_are_told_and_over_at_their_end(
    brokers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.radio.endurance.BACK_SECONDS", 10.0)  # on a busy machine
    settings = fresh_settings(brokers, "radio.")
    chosen = ("cut", "expired")
    assert FAULTS.keys() >= set(chosen)
    assert asyncio.run(try_stations(settings, 4, chosen, seed=1, rest=8.0)) == 0
