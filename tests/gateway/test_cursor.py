import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.cursor import BadCursor, Layout

PARTITIONS = tuple((topic, number) for topic in ("predictions", "segments") for number in range(3))
LAYOUT = Layout(PARTITIONS)


@given(st.lists(st.integers(0, 2**62), min_size=6, max_size=6))
def test_what_is_written_is_read(numbers: list[int]) -> None:
    offsets = dict(zip(PARTITIONS, numbers, strict=True))
    assert LAYOUT.decode(LAYOUT.encode(offsets)) == offsets


@given(st.text(max_size=60))
def test_a_forged_text_is_refused_or_read(text: str) -> None:
    try:
        offsets = LAYOUT.decode(text)
    except BadCursor:
        return
    assert offsets.keys() == set(PARTITIONS)


@pytest.mark.parametrize("text", ["", "!!", "A" * 5000, "ä", "AAAA"])
def test_what_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        LAYOUT.decode(text)


def test_other_partitions_make_other_cursors() -> None:
    text = LAYOUT.encode({})
    with pytest.raises(BadCursor, match="other topics"):
        Layout(PARTITIONS[:-1]).decode(text)


def test_a_cut_or_longer_text_is_refused() -> None:
    text = LAYOUT.encode(dict.fromkeys(PARTITIONS, 70_000))
    for changed in (text[:-3], text + "AAAA"):
        with pytest.raises(BadCursor):
            LAYOUT.decode(changed)
