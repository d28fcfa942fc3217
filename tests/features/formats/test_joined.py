"""What follows a container is heard, whatever the two are: none is taken for a chunk of the other.

A row of the table says by `anywhere` and `like_chunks` how it is told; a row without them would be
lost behind the others without a word.
"""

import numpy as np
import pytest
import soundfile

from features import decode
from features.formats.table import FORMATS
from tests.audio import encode, tone

RATE = 22_050
Y = tone(1.0, RATE)
#: Those that we walk and libsndfile writes, but for MPEG, which is told by its frames.
CONTAINERS = [
    row.name.upper()
    for row in FORMATS
    if row.walk and row.name.upper() in soundfile.available_formats() and row.name != "mp3"
]


def test_the_containers() -> None:
    assert len(CONTAINERS) >= 7


@pytest.mark.parametrize("second", CONTAINERS)
@pytest.mark.parametrize("first", CONTAINERS)
def test_both_of_two_are_heard(first: str, second: str) -> None:
    samples = decode(encode(Y, RATE, first) + encode(Y, RATE, second)).samples
    assert len(samples) == pytest.approx(2 * len(Y), abs=10)
    assert np.abs(samples[-len(Y) // 2 :]).max() > 0.4
