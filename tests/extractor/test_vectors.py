"""Values in a vector are the float32 that were computed, in few digits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.extractor.vectors import shortened

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(arrays(np.float32, st.integers(0, 60), elements=finite))
def test_shortened_values_are_the_same_float32(values: np.ndarray) -> None:
    assert np.array_equal(np.array(shortened(values), np.float32), values)


def test_values_of_usual_size_have_at_most_ten_digits() -> None:
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(2000) * 10.0 ** rng.integers(-6, 6, 2000)).astype(np.float32)
    digits = [repr(value).lstrip("-0.").partition("e")[0] for value in shortened(values)]
    assert max(len(text.replace(".", "")) for text in digits) <= 10
