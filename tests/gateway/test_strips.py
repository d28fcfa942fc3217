from hypothesis import given
from hypothesis import strategies as st

from services.gateway.strips import MAX_SPANS, Strip

LABELS = st.sampled_from(["jazz", "rock", "silence"])


def spans(strip: Strip) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label) for span in strip.spans]


def test_windows_of_one_label_join() -> None:
    strip = Strip()
    for start in (0, 3000, 6000):
        strip.hear(start, start + 3000, "jazz")
    assert spans(strip) == [(0, 9000, "jazz")]


def test_windows_apart_join_as_far_as_the_largest_hop_leaves_room() -> None:
    strip = Strip()
    for start in range(0, 60_000, 6_000):
        strip.hear(start, start + 3000, "jazz")
    assert spans(strip) == [(0, 57_000, "jazz")]
    assert strip.cells(60_000, 30_000, 2) == ["jazz", "jazz"]


def test_a_gap_stays_a_gap() -> None:
    strip = Strip()
    strip.hear(0, 3000, "jazz")
    strip.hear(60_000, 63_000, "jazz")
    assert spans(strip) == [(0, 3000, "jazz"), (60_000, 63_000, "jazz")]
    assert strip.cells(66_000, 3000, 22)[1:-2] == [None] * 19


def test_a_label_takes_what_was_heard_since_its_lead_began() -> None:
    strip = Strip()
    for start in range(0, 30_000, 3000):
        strip.hear(start, start + 3000, "jazz")
    strip.hear(30_000, 33_000, "rock", since=18_000)
    assert spans(strip) == [(0, 18_000, "jazz"), (18_000, 33_000, "rock")]


def test_what_is_told_of_the_past_fills_only_holes() -> None:
    strip = Strip()
    strip.hear(10_000, 13_000, "jazz")
    strip.fill(0, 20_000, "rock")
    assert spans(strip) == [
        (0, 10_000, "rock"),
        (10_000, 13_000, "jazz"),
        (13_000, 20_000, "rock"),
    ]


@given(st.lists(st.tuples(st.integers(1, 20), LABELS, st.booleans()), max_size=60))
def test_spans_never_overlap_and_are_bounded(steps: list[tuple[int, str, bool]]) -> None:
    strip, at = Strip(), 0
    for gap, label, with_since in steps:
        at += gap * 1000
        strip.hear(at, at + 3000, label, at - 5000 if with_since else None)
        at += 3000
    for earlier, later in zip(strip.spans, strip.spans[1:], strict=False):
        assert earlier.start < earlier.end <= later.start < later.end


def test_a_label_that_always_changes_is_bounded() -> None:
    strip = Strip()
    for number in range(MAX_SPANS + 500):
        strip.hear(number * 3000, number * 3000 + 3000, "jazz" if number % 2 else "rock")
    assert len(strip.spans) == MAX_SPANS


def test_a_cell_has_the_label_that_fills_most_of_it() -> None:
    strip = Strip()
    strip.hear(0, 4000, "jazz")
    strip.hear(4000, 10_000, "rock")
    assert strip.cells(20_000, 10_000, 2) == ["rock", None]
