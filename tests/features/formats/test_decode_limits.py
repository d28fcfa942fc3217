"""How much audio a message or file may hold, and what it costs to find out that it is more."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from features import decode, read_file
from schemas.errors import AudioTooLong
from tests.audio import FLAC_LENGTH, encode, patched, tone

RATE = 22_050
Y = tone(1.0, RATE)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG"])
def test_the_limit_in_seconds(container: str) -> None:
    data = encode(Y, RATE, container)
    assert decode(data, max_seconds=1.0).seconds == 1.0
    with pytest.raises(AudioTooLong, match=r"more than 0\.9 s, the limit .* shorter chunks"):
        decode(data, max_seconds=0.9)


def test_the_limit_in_seconds_of_pcm() -> None:
    with pytest.raises(AudioTooLong, match="2 s of PCM, at most 1 s in one message"):
        decode(bytes(88_200), "audio/L16;rate=22050", max_seconds=1.0)


def test_above_48_khz_the_limit_bounds_the_memory() -> None:
    data = encode(np.zeros(192_000, np.int16), 192_000, "FLAC")
    assert decode(data, max_seconds=4.0).seconds == 1.0
    with pytest.raises(AudioTooLong, match=r"more than 0\.25 s, the limit .* at 192000 Hz"):
        decode(data, max_seconds=1.0)


def bomb(tmp_path: Path, *, seconds: int = 1000) -> bytes:
    """Pack digital silence into FLAC: 1000 s in 139 kB."""
    path = tmp_path / "bomb.flac"
    minute = np.zeros(44_100 * 50, np.int16)
    with soundfile.SoundFile(path, "w", 44_100, 1, "PCM_16", format="FLAC") as file:
        for _ in range(seconds // 50):
            file.write(minute)
    return path.read_bytes()


def test_a_decompression_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    data = bomb(tmp_path)
    assert len(data) < 150_000
    unstated = patched(data, FLAC_LENGTH, bytes(4))
    tracemalloc.start()
    for lying in (data, unstated):
        with pytest.raises(AudioTooLong, match="more than 100 s, the limit"):
            decode(lying, max_seconds=100.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6  # 100 s are 17.6 MB, all of it 176 MB


def long_silence(path: Path, container: str, channels: int, seconds: int = 1800) -> bytes:
    """Encode half an hour of digital silence."""
    second = np.zeros((48_000, channels), np.int16)  # libsndfile crashes on a minute of Vorbis
    with soundfile.SoundFile(path, "w", 48_000, channels, format=container) as file:
        for _ in range(seconds):
            file.write(second)
    return path.read_bytes()


@pytest.mark.parametrize(("container", "channels"), [("FLAC", 1), ("FLAC", 8), ("OGG", 2)])
def test_a_bomb_delays_the_others_by_less_than_a_second(
    tmp_path: Path, container: str, channels: int
) -> None:
    data = long_silence(tmp_path / "bomb", container, channels)
    bombs = [data]
    if container == "FLAC":
        bombs.append(patched(data, FLAC_LENGTH, bytes(4)))
    start = time.process_time()
    for data in bombs:
        with pytest.raises(AudioTooLong, match="shorter chunks"):
            decode(data)
    assert time.process_time() - start < len(bombs)


def test_a_file_from_a_pipe_may_be_long(tmp_path: Path) -> None:
    data = long_silence(tmp_path / "long", "FLAC", 1, 600)
    (tmp_path / "piped").write_bytes(patched(data, FLAC_LENGTH, bytes(4)))
    assert read_file(tmp_path / "piped").seconds == 600.0
