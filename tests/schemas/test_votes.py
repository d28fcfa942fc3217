import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.votes import sharpen

odds = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=10)


@given(odds, st.floats(1.0, 1e6), st.floats(0.0, 4.0))
def test_a_sharpened_mean_is_one_and_keeps_its_order(
    values: list[float], windows: float, sharpness: float
) -> None:
    mean = [v / sum(values) for v in values]
    found = sharpen(mean, windows, sharpness)
    assert sum(found) == pytest.approx(1.0)
    assert max(range(len(mean)), key=found.__getitem__) in [
        i for i, v in enumerate(mean) if v == pytest.approx(max(mean))
    ]
    assert max(found) >= max(mean) - 1e-9


def test_one_window_stays_as_it_is() -> None:
    assert sharpen([0.7, 0.3], 1, 2.0) == pytest.approx([0.7, 0.3])
