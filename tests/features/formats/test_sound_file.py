"""What libsndfile alone would cut short without a word."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from features import decode
from features.formats.mpeg import parse_frame
from features.formats.survey import survey
from tests.audio import encode, noise, tone

RATE = 44_100


def variable_mp3(seconds: float, rate: int = RATE) -> bytes:
    """Encode noise that swells, at a variable bit rate, as an MP3 with a Xing header."""
    y = noise(seconds, rate) * np.linspace(0.0, 1.0, round(seconds * rate), dtype=np.float32) ** 8
    file = io.BytesIO()
    options: dict[str, Any] = {"bitrate_mode": "VARIABLE", "compression_level": 0.2}
    soundfile.write(file, y, rate, format="MP3", **options)
    return file.getvalue()


def without_count(data: bytes) -> bytes:
    """Drop the first frame, which holds no audio but the Xing header."""
    assert b"Xing" in data[:64]
    frame = parse_frame(data)
    assert frame
    return data[frame.length :]


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
@pytest.mark.parametrize("tag", [b"", b"ID3\3\0\0\0\0\x17\x70" + bytes(3_056)])
def test_a_variable_bit_rate_is_heard_to_its_end(rate: int, tag: bytes) -> None:
    data = variable_mp3(10.0, rate)
    audio = decode(tag + without_count(data))
    assert audio.seconds == pytest.approx(10.0, abs=0.1)
    loudest = decode(data).samples[-rate:].std()
    assert audio.samples[-rate:].std() == pytest.approx(loudest, rel=0.1)


def test_an_mp3_that_needs_no_count_is_left_as_it_is() -> None:
    for data in (variable_mp3(2.0), encode(tone(2.0, RATE), RATE, "MP3")):
        (part,) = survey(io.BytesIO(data)).parts
        assert part.source.read() == data


def test_every_link_of_a_chained_ogg_is_heard() -> None:
    link = encode(tone(2.0, RATE), RATE, "OGG")
    once, thrice = decode(link).samples, decode(link * 3).samples
    np.testing.assert_array_equal(thrice, np.tile(once, 3))


def test_libsndfile_hears_the_first_of_a_chain_only() -> None:
    link = encode(tone(2.0, RATE), RATE, "OGG")
    assert soundfile.info(io.BytesIO(link + link)).duration == 2.0  # else hear it as it is
