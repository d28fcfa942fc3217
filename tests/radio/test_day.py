"""Two hours of the day that ``python -m tests.radio.day`` plays."""

import pytest

from tests.radio.day import play, problems

pytestmark = pytest.mark.radio


def test_every_minute_is_heard_or_told() -> None:
    day = play(hours=2.0, seed=3)
    kinds = [event.kind for event in day.heard.events]
    assert kinds.count("lost") >= 2
    assert len(day.failures) >= 3
    assert not problems(day)
