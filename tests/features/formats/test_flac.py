"""FLAC by dr_flac: the same samples as by libsndfile, or none at all."""

import io
import random
import time

import numpy as np
import pytest
import soundfile

from features import decode
from features.formats import flac
from features.formats.flac import HEAD_BYTES, decode_flac, stream_info
from schemas.errors import CorruptAudio
from tests.audio import FLAC_LENGTH, Frames, encode, music, noise, patched

pytest.importorskip("miniaudio", reason="no wheel for this platform: libsndfile decodes all")

RATE = 22_050
Y = music(1.0, RATE)
FLAC = encode(Y, RATE, "FLAC", "PCM_16")
#: Frames of 4096 samples each.
SHORT = encode(noise(1_000 / RATE, RATE), RATE, "FLAC", "PCM_16")
ONE_BLOCK = encode(noise(4_096 / RATE, RATE), RATE, "FLAC", "PCM_16")

LARGEST_BLOCK = 10


def quickly(data: bytes) -> Frames | None:
    info = stream_info(data[:HEAD_BYTES])
    return None if info is None else decode_flac(io.BytesIO(data), info)


def by_libsndfile(data: bytes) -> Frames | None:
    try:
        frames: Frames = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    except soundfile.LibsndfileError:
        return None
    return frames


@pytest.mark.parametrize("seconds", [1 / RATE, 0.01, 4_096 / RATE, 4_097 / RATE, 0.5, 3.0])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_samples_are_those_of_libsndfile(subtype: str, channels: int, seconds: float) -> None:
    data = encode(noise(seconds, RATE, channels), RATE, "FLAC", subtype)
    frames = quickly(data)
    assert frames is not None
    np.testing.assert_array_equal(frames, by_libsndfile(data))


@pytest.mark.parametrize("whole", [FLAC, SHORT, ONE_BLOCK])
@pytest.mark.parametrize("more", [b"\0", b"TAG" + bytes(125), FLAC, SHORT, ONE_BLOCK])
def test_what_follows_the_last_frame_is_left_to_libsndfile(whole: bytes, more: bytes) -> None:
    assert quickly(whole) is not None
    assert quickly(whole + more) is None
    expected = [decode(whole).samples] + ([decode(more).samples] if more[:1] == b"f" else [])
    np.testing.assert_array_equal(decode(whole + more).samples, np.concatenate(expected))


@pytest.mark.parametrize("claimed", [0, 1, 4_096, 20_480, RATE - 1, RATE + 1, 30_000, 1 << 31])
def test_a_wrong_length_is_left_to_libsndfile(claimed: int) -> None:
    assert quickly(patched(FLAC, FLAC_LENGTH, claimed.to_bytes(4))) is None


@pytest.mark.parametrize("size", [0, 4, HEAD_BYTES - 1, HEAD_BYTES, 1_000, -100, -2, -1])
def test_a_flac_that_is_cut_short_is_left_to_libsndfile(size: int) -> None:
    assert quickly(FLAC[:size]) is None


def test_blocks_of_different_sizes_are_left_to_libsndfile() -> None:
    assert quickly(patched(FLAC, LARGEST_BLOCK, (4_608).to_bytes(2))) is None


def test_a_damaged_comment_does_not_cost_the_audio() -> None:
    comment = FLAC.index(b"reference libFLAC")
    damaged = patched(FLAC, comment - 4, b"\xff\xff\xff\xff")
    assert by_libsndfile(damaged) is None
    np.testing.assert_array_equal(decode(damaged).samples, decode(FLAC).samples)


def test_whatever_is_damaged_gives_no_other_samples() -> None:
    rng = random.Random(0)
    expected = decode(FLAC).samples
    taken = 0
    for _ in range(2_000):
        data = bytearray(FLAC)
        for _ in range(rng.choice([1, 1, 3, 20])):
            data[rng.randrange(rng.choice([60, 400, len(data)]))] = rng.randrange(256)
        if rng.random() < 0.3:
            start = rng.randrange(len(data))
            del data[start : start + rng.randrange(200)]
        frames = quickly(bytes(data))
        if frames is not None:
            taken += 1
            np.testing.assert_array_equal(frames.ravel(), expected)
    assert 0 < taken < 2_000


def crc(data: bytes, bits: int, polynomial: int) -> bytes:
    """Return the checksum of FLAC's frame headers (8 bits) and frames (16 bits)."""
    value = 0
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
    return value.to_bytes(bits // 8)


def silent_frame(number: int, samples: int, channels: int) -> bytes:
    """Make a frame of 16-bit silence, a few bytes for any number of samples."""
    header = b"\xff\xf8" + bytes([0x70, channels - 1 << 4 | 0x8, number])
    header += (samples - 1).to_bytes(2)
    frame = header + crc(header, 8, 0x07) + channels * bytes(3)
    return frame + crc(frame, 16, 0x8005)


def head(block: int, rate: int, channels: int, depth: int, samples: int) -> bytes:
    shape = (rate << 44 | channels - 1 << 41 | depth - 1 << 36 | samples).to_bytes(8)
    sizes = 2 * block.to_bytes(2) + bytes(6)
    return b"fLaC\x80\0\0\x22" + sizes + shape + bytes(16)


def test_frames_that_do_not_count_cannot_take_forever() -> None:
    frame = silent_frame(0, 65_535, 8)
    data = head(65_535, RATE, 8, 16, 65_535) + 5_000 * (frame[:-1] + b"?") + frame
    assert quickly(data[:HEAD_BYTES] + frame) is not None
    start = time.process_time()
    assert quickly(data) is None
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(("rate", "depth"), [(0, 16), (RATE, 12), (RATE, 20)])
def test_what_libsndfile_does_not_know_is_refused_as_before(rate: int, depth: int) -> None:
    data = head(4_096, rate, 1, depth, 4_096) + silent_frame(0, 4_096, 1)
    assert stream_info(head(4_096, RATE, 1, 16, 4_096)) is not None
    assert stream_info(data) is None
    with pytest.raises(CorruptAudio):
        decode(data)


def test_a_rate_of_0_hz_is_no_frame() -> None:
    data = patched(ONE_BLOCK, 18, b"\0\0" + bytes([ONE_BLOCK[20] & 0x0F]))
    assert flac.read_flac(ONE_BLOCK, RATE, 1, 4_096) is not None
    assert flac.read_flac(data, RATE, 1, 4_096) is None


def test_without_miniaudio_libsndfile_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = decode(FLAC).samples
    monkeypatch.setattr(flac, "_dr_flac", lambda: None)
    assert quickly(FLAC) is None
    np.testing.assert_array_equal(decode(FLAC).samples, expected)


def test_a_message_of_nothing_but_sync_bytes_takes_no_time() -> None:
    data = FLAC[:HEAD_BYTES] + b"\xff\xf8" * (1 << 21)
    start = time.process_time()
    assert quickly(data) is None
    assert time.process_time() - start < 0.5
