"""A small one of `make fuzz-decode`."""

import subprocess
import sys

import pytest

from features.formats.ffmpeg import ffmpeg_path
from tests.faults.decode_fuzz import try_one


@pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg to compare with")
def test_what_is_mutated_is_heard_as_far_as_ffmpeg_hears_it() -> None:
    command = [sys.executable, "-m", "tests.faults.decode_fuzz", "60", "7"]  # memory of its own
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg to compare with")
def test_half_a_hearing_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from features import Audio, decode
    from tests.audio import encode, tone

    def half(data: bytes) -> Audio:
        audio = decode(data)
        return Audio(audio.samples[: len(audio.samples) // 2], audio.sample_rate)

    monkeypatch.setattr("tests.faults.decode_fuzz.decode", half)
    data = encode(tone(2.0, 22_050), 22_050, "MP3")
    assert try_one("half", data, [data], ffmpeg_path() or "").differs
