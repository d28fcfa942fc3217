import random

from hypothesis import given
from hypothesis import strategies as st

from services.processing.offsets import OffsetTracker


@given(st.integers(1, 60), st.integers(0, 1000), st.randoms())
def test_nothing_behind_an_open_message_is_committable(
    count: int, first: int, order: random.Random
) -> None:
    offsets = list(range(first, first + 2 * count, 2))  # a compacted log has holes
    tracker, position = OffsetTracker(), offsets[-1] + 1
    for offset in offsets:
        assert tracker.add(offset)
    released = offsets.copy()
    order.shuffle(released)
    for number, offset in enumerate(released, start=1):
        tracker.release(offset)
        still_open = set(offsets) - set(released[:number])
        assert tracker.committable(position) == min(still_open, default=position)
    assert len(tracker) == 0


def test_a_message_seen_before_is_refused() -> None:
    tracker = OffsetTracker()
    assert tracker.add(7)
    assert not tracker.add(7)
    assert not tracker.add(6)
    tracker.release(7)
    tracker.release(7)
    assert tracker.committable(8) == 8
