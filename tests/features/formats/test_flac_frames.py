"""What is compiled for FLAC: the samples of libsndfile for all that an encoder may write."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
import soundfile

from features.formats import flac
from features.formats.flac import stream_info
from tests.audio import Frames, clicks, music, noise, square, tone
from tests.features.formats.test_flac import crc, head

RATE = 22_050
DEPTHS = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}


def compiled(data: bytes) -> Frames | None:
    info = stream_info(data)
    assert info is not None
    return flac._decode_sound(data, info)


def by_libsndfile(data: bytes) -> Frames:
    frames: Frames = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    return frames


def encode(frames: Frames, level: float, subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, frames, rate, subtype, format="FLAC", compression_level=level)
    return file.getvalue()


SIGNALS = {
    "music": music(1.0, RATE),
    "noise": noise(1.0, RATE),
    "faint": noise(1.0, RATE) * np.float32(1e-4),
    "tone": tone(1.0, RATE),
    "square": square(1.0, RATE),
    "clicks": clicks(1.0, RATE),
    "silence": np.zeros(RATE, np.float32),
    "wasted bits": np.round(16 * music(1.0, RATE)) / np.float32(16),
    "one sample": np.full(1, 0.25, np.float32),
    "quiet, then loud": np.concatenate([np.zeros(3_000), noise(0.5, RATE)]).astype(np.float32),
}


@pytest.mark.parametrize("level", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("subtype", DEPTHS)
@pytest.mark.parametrize("signal", SIGNALS)
def test_samples_are_those_of_libsndfile(signal: str, subtype: str, level: float) -> None:
    y = SIGNALS[signal]
    for frames in (y, np.stack([y, 0.5 * y], axis=1), np.stack([y, -y[::-1]], axis=1)):
        data = encode(frames, level, subtype)
        found = compiled(data)
        assert found is not None
        np.testing.assert_array_equal(found, by_libsndfile(data))


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000, 37_800])
def test_every_rate_is_taken(rate: int) -> None:
    data = encode(music(0.3, rate), 0.6, rate=rate)
    found = compiled(data)
    assert found is not None
    np.testing.assert_array_equal(found, by_libsndfile(data))


def test_a_byte_that_is_changed_gives_no_other_samples() -> None:
    data = encode(np.stack([music(0.2, RATE), noise(0.2, RATE)], axis=1), 0.6)
    expected, taken = by_libsndfile(data), 0
    rng = np.random.default_rng(0)
    begin = flac._first_frame(data)
    assert begin is not None
    for _ in range(3_000):
        changed = bytearray(data)
        changed[rng.integers(begin, len(data))] ^= 1 << int(rng.integers(8))
        found = compiled(bytes(changed))
        taken += found is not None
        assert found is None or np.array_equal(found, expected)
    assert taken == 0  # each bit of a frame is covered by its checksum


def test_metadata_without_end_takes_no_time() -> None:
    data = encode(tone(0.1, RATE), 0.6)[:42] + bytes(4 * 100_000)
    assert flac._first_frame(data) is None


def frame(bits: Sequence[tuple[int, int]], samples: int) -> bytes:
    """Make a FLAC of one frame of 16-bit mono; its subframe is numbers of so many bits."""
    written = "".join(
        f"{number & (1 << width) - 1:0{width}b}" if width else "" for number, width in bits
    )
    written += "0" * (-len(written) % 8)
    header = b"\xff\xf8\x70\x08\0" + (samples - 1).to_bytes(2)
    whole = header + crc(header, 8, 0x07) + int(written, 2).to_bytes(len(written) // 8)
    return head(samples, RATE, 1, 16, samples) + whole + crc(whole, 16, 0x8005)


FIXED_1 = 0b0001001, 7
NOTHING_WASTED = 0, 1


def test_residuals_that_are_not_coded_are_added_up() -> None:
    steps = [5, -3, 0, 7, -8, 1, 2, -4, 6, -1, 3, -7, 4, -2, 1]
    coding = [(0b00, 2), (0, 4), (0b1111, 4), (4, 5)]
    data = frame([FIXED_1, NOTHING_WASTED, (100, 16), *coding, *((step, 4) for step in steps)], 16)
    found = compiled(data)
    assert found is not None
    expected = np.cumsum([100, *steps]) / np.float32(32768)
    np.testing.assert_array_equal(found[:, 0], expected)
    np.testing.assert_array_equal(found, by_libsndfile(data))


@pytest.mark.parametrize("zeros", [0, 1, 30, 56, 57, 58, 64, 130, 5_000])
def test_a_code_of_any_length_is_read(zeros: int) -> None:
    low_bits, quotients = 1, [1, zeros, 0, 2, zeros, 1, 0, *8 * [1]]
    coding = [(0b00, 2), (0, 4), (low_bits, 4)]
    codes = [part for q in quotients for part in ((0, q), (1, 1), (0, low_bits))]
    data = frame([FIXED_1, NOTHING_WASTED, (-9, 16), *coding, *codes], 16)
    found = compiled(data)
    assert found is not None
    np.testing.assert_array_equal(found[:, 0], np.cumsum([-9, *quotients]) / np.float32(32768))
    np.testing.assert_array_equal(found, by_libsndfile(data))


def test_samples_beyond_their_bits_are_left_to_others() -> None:
    coding = [(0b00, 2), (0, 4), (14, 4)]
    codes = [part for _ in range(15) for part in ((1, 1), (0x3FFE, 14))]
    assert compiled(frame([FIXED_1, NOTHING_WASTED, (30_000, 16), *coding, *codes], 16)) is None


@pytest.mark.parametrize("coding", [(0b10, 2), (0b11, 2)])
def test_a_coding_that_is_reserved_is_left_to_others(coding: tuple[int, int]) -> None:
    bits = [FIXED_1, NOTHING_WASTED, (1, 16), coding, (0, 4), (0, 4), *[(1, 1)] * 40]
    assert compiled(frame(bits, 16)) is None
