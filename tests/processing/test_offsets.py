import random

from hypothesis import given
from hypothesis import strategies as st

from services.processing.offsets import OffsetTracker


@given(st.integers(1, 60), st.integers(0, 1000), st.randoms())
def test_acknowledges_in_log_order_and_never_past_an_open_message(
    count: int, first: int, order: random.Random
) -> None:
    offsets = list(range(first, first + 2 * count, 2))  # a compacted log has holes
    tracker: OffsetTracker[int] = OffsetTracker()
    for offset in offsets:
        assert tracker.add(offset, offset)
    released = offsets.copy()
    order.shuffle(released)
    acknowledged: list[int] = []
    for number, offset in enumerate(released, start=1):
        acknowledged += tracker.release(offset)
        still_open = set(offsets) - set(released[:number])
        assert acknowledged == [o for o in offsets if not still_open or o < min(still_open)]
        assert tracker.committable == min(still_open, default=offsets[-1] + 1)
    assert acknowledged == offsets
    assert len(tracker) == 0


def test_a_message_seen_before_is_refused() -> None:
    tracker: OffsetTracker[str] = OffsetTracker()
    assert tracker.add(7, "first")
    assert not tracker.add(7, "again")
    assert not tracker.add(6, "earlier")
    assert tracker.release(7) == ["first"]
    assert tracker.release(7) == []
