"""Sizes that no file can have are no reason to raise anything but an `AudioError`."""

from contextlib import suppress

import pytest

from features import decode
from schemas.errors import AudioError
from tests.audio import encode, patched, tone

SIZES = (bytes(8), b"\x7f" + b"\xff" * 7, b"\xff" * 8, b"\x80" + bytes(7))
CONTAINERS = ("WAV", "RF64", "W64", "CAF", "AIFF", "AU", "FLAC", "OGG", "MP3")


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("size", SIZES)
def test_any_eight_bytes_of_a_head_may_be_a_huge_number(container: str, size: bytes) -> None:
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(container, "PCM_16")
    data = encode(tone(0.5, 8_000), 8_000, container, subtype)
    for place in range(4, 120):
        with suppress(AudioError):
            decode(patched(data, place, size))
