"""Inputs of the field that were heard in part without a word, or refused in riddles."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest

from features import decode, level_dbfs, read_file
from features.formats.ffmpeg import ffmpeg_path
from schemas.errors import UnsupportedAudio

FOLDER: Final = Path(__file__).parent / "odd_inputs"
#: Seconds that are there, as `odd_inputs/README.md` says.
SECONDS: Final = {
    "44k-then-48k.mp3": 18.0,
    "antiphase.wav": 2.0,
    "apev2-before.mp3": 9.0,
    "appended-partial-frames.mp3": 8.8,
    "bw64.wav": 4.0,
    "chained.ogg": 8.0,
    "concat-xing.mp3": 18.0,
    "data-size-0.wav": 4.0,
    "hls-mp3-id3-per-segment-vbr.mp3": 9.0,
    "icy-metadata.mp3": 9.0,
    "id3-padding-not-counted.mp3": 9.0,
    "id3v1-tail.flac": 4.0,
    "junk-in-middle-vbr.mp3": 9.0,
    "layer2.mp2": 9.0,
    "midframe-start.mp3": 9.0,
    "ogg-flac.oga": 4.0,
    "pcm.caf": 4.0,
    "truncated.flac": 2.3,
    "w64.w64": 4.0,
    "zeros-in-middle-cbr.mp3": 8.5,
}
FOREIGN: Final = {"aac.m4a": "MP4", "adts.aac": "AAC"}


def test_no_input_is_left_out() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"README.md", "._song.mp3"}
    assert files == {*SECONDS, *FOREIGN}


@pytest.mark.parametrize("name", sorted(SECONDS))
def test_all_is_heard(name: str) -> None:
    from_file, from_bytes = read_file(FOLDER / name), decode((FOLDER / name).read_bytes())
    assert from_file.seconds == pytest.approx(SECONDS[name], rel=0.05)
    if name != "antiphase.wav":  # the channels of messages are averaged, whatever they are
        np.testing.assert_array_equal(from_file.samples, from_bytes.samples)
    half = len(from_file.samples) // 2
    assert level_dbfs(from_file.samples[:half]) > -40
    assert level_dbfs(from_file.samples[half:]) > -40


@pytest.mark.skipif(ffmpeg_path() is None, reason="there is no ffmpeg")
@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_what_ffmpeg_hears_in_files(name: str) -> None:
    assert read_file(FOLDER / name).seconds == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(("name", "format_name"), sorted(FOREIGN.items()))
def test_a_message_never_reaches_ffmpeg_unless_it_may(name: str, format_name: str) -> None:
    with pytest.raises(UnsupportedAudio, match=f"{format_name}.*GENRESTREAM_FFMPEG_IN_WORKERS"):
        decode((FOLDER / name).read_bytes())


@pytest.mark.parametrize(("name", "format_name"), sorted(FOREIGN.items()))
def test_without_ffmpeg_the_format_is_named(
    name: str, format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.formats.foreign.ffmpeg_path", lambda: None)
    with pytest.raises(UnsupportedAudio, match=rf"{format_name}.*genrestream\[ffmpeg\]"):
        read_file(FOLDER / name)


def test_what_was_lost_is_said_with_its_place() -> None:
    audio = read_file(FOLDER / "truncated.flac")
    assert audio.missing_seconds == pytest.approx(4.0 - audio.seconds, abs=1e-6)
    assert "FLAC breaks off" in audio.notes[0]
    (note,) = read_file(FOLDER / "junk-in-middle-vbr.mp3").notes
    assert note == "what is no audio, between frames: 700 bytes at byte 33301 left out"
