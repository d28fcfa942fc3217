"""Whether the recorder keeps up: what was read before must be committed some time later."""

from services.gateway.recorder_watch import LATE_MS, Progress


def test_a_recorder_that_keeps_up_is_not_late() -> None:
    progress = Progress()
    for second in range(100):
        committed = {0: max(0, second - 5), 1: 7}
        assert progress.late_since(1000 * second, {0: second, 1: 7}, committed) is None


def test_one_that_stands_still_is_late_since_then_until_it_has_caught_up() -> None:
    progress = Progress()
    found = [progress.late_since(1000 * t, {0: t}, {0: min(t, 10)}) for t in range(60)]
    first = next(t for t, late in enumerate(found) if late is not None)
    assert first == 11 + LATE_MS // 1000
    assert set(found[first:]) == {11_000}
    assert progress.late_since(60_000, {0: 60}, {0: 30}) == 31_000
    assert progress.late_since(61_000, {0: 60}, {0: 60}) is None


def test_where_nobody_ever_recorded_nobody_is_late() -> None:
    progress = Progress()
    assert {progress.late_since(1000 * t, {0: t}, {}) for t in range(60)} == {None}


def test_a_station_that_is_quiet_makes_nobody_late() -> None:
    progress = Progress()
    assert {progress.late_since(1000 * t, {0: 5}, {0: 5}) for t in range(60)} == {None}


def test_its_memory_is_bounded() -> None:
    progress = Progress()
    for t in range(5_000):
        late = progress.late_since(1000 * t, {0: t + 1}, {0: 0})
    assert late == 0
    assert len(progress._samples) <= 2_001
