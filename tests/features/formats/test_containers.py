import io

import numpy as np
import pytest

from features.formats import survey
from tests.audio import encode, tone

Y = tone(0.5, 44_100)


def recognise(data: bytes) -> str | None:
    """Name the container that bytes begin with."""
    row = survey.recognise(io.BytesIO(data), 0, len(data))
    return row.name if row else None


@pytest.mark.parametrize(
    ("container", "name"),
    [
        ("WAV", "wav"),
        ("RF64", "wav"),
        ("FLAC", "flac"),
        ("OGG", "ogg"),
        ("MP3", "mp3"),
        ("AIFF", "aiff"),
        ("AU", "au"),
    ],
)
def test_what_libsndfile_writes_is_recognised(container: str, name: str) -> None:
    assert recognise(encode(Y, 44_100, container)[:4096]) == name


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_mp3_frames_follow_each_other_at_every_rate(rate: int) -> None:
    data = encode(tone(0.5, rate), rate, "MP3")
    assert data[0] == 0xFF
    assert recognise(data) == "mp3"
    assert recognise(data[:10] + b"\0" + data[10:]) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"f",
        b"RIFF",
        b"FORM\0\0\0\0ILBM",
        b"\xff\xfb",
        b"\xff\xff\xff\xff",
        b"\xff\xfb\xf0\x00",  # bit rate 15
        b"\xff\xfb\x9c\x00",  # sample rate 3
        b"{}",
        bytes(4096),
    ],
)
def test_anything_else_is_not(head: bytes) -> None:
    assert recognise(head) is None


def test_noise_is_hardly_ever_taken_for_audio() -> None:
    rng = np.random.default_rng(0)
    heads = [b"\xff\xfb" + rng.bytes(4094) for _ in range(2_000)]
    assert sum(recognise(head) is not None for head in heads) < 10
