"""Inputs of strangers are heard whole, or refused by name; files and messages alike."""

from pathlib import Path

import pytest

from features import decode, open_file, read_file
from features.formats import ffmpeg, foreign
from schemas.errors import AudioError, CorruptAudio, UnsupportedAudio
from tests.features.formats.odd_sounds import (
    BY_FFMPEG,
    MADE,
    MADE_BY_FFMPEG,
    NO_AUDIO,
    id3,
    sound,
)
from tests.features.formats.odd_sounds import (
    foreign as encoded,
)

needs_ffmpeg = pytest.mark.skipif(ffmpeg.ffmpeg_path() is None, reason="there is no ffmpeg")


def written(folder: Path, data: bytes) -> Path:
    path = folder / "odd.mp3"  # a name decides nothing
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", sorted(MADE))
def test_all_of_it_is_heard(name: str, tmp_path: Path) -> None:
    make, seconds = MADE[name]
    path = written(tmp_path, make())
    assert read_file(path).seconds == pytest.approx(seconds, rel=0.05)
    assert decode(path.read_bytes()).seconds == read_file(path).seconds
    with open_file(path) as recording:
        assert sum(map(len, recording.blocks())) / recording.sample_rate == read_file(path).seconds


@needs_ffmpeg
@pytest.mark.parametrize("name", sorted(MADE_BY_FFMPEG))
def test_what_others_encode_is_heard(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, seconds = MADE_BY_FFMPEG[name]
    data = make()
    monkeypatch.setattr(foreign, "ffmpeg_path", lambda: None)
    assert decode(data).seconds == pytest.approx(seconds, rel=0.06)


@needs_ffmpeg
@pytest.mark.parametrize("name", sorted(BY_FFMPEG))
def test_ffmpeg_hears_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, seconds, named = BY_FFMPEG[name]
    path = written(tmp_path, make())
    assert read_file(path).seconds == pytest.approx(seconds, rel=0.1)
    with pytest.raises(UnsupportedAudio, match=named) as refusal:
        decode(path.read_bytes())
    assert "GENRESTREAM_FFMPEG_IN_WORKERS" in str(refusal.value)
    monkeypatch.setattr(foreign, "ffmpeg_path", lambda: None)
    with pytest.raises(UnsupportedAudio, match=named) as refusal:
        read_file(path)
    assert "install ffmpeg" in str(refusal.value)


def test_an_encoding_unknown_to_libsndfile_is_refused_by_the_name_of_its_container() -> None:
    caf = sound("CAF", "PCM_16").replace(b"lpcm", b"alaz")
    with pytest.raises(UnsupportedAudio, match="Core Audio Format with an encoding unknown"):
        decode(caf)


@pytest.mark.parametrize("head", NO_AUDIO)
def test_what_is_no_audio_is_called_by_its_name(head: bytes, tmp_path: Path) -> None:
    for hear in (decode, lambda data: read_file(written(tmp_path, data))):
        with pytest.raises(UnsupportedAudio, match=NO_AUDIO[head]):
            hear(head)


def test_files_and_messages_are_refused_in_words_of_their_own(tmp_path: Path) -> None:
    junk = bytes(range(2, 90)) * 3
    with pytest.raises(AudioError, match=r"send WAV, FLAC, Ogg or MP3, or name raw PCM by"):
        decode(junk)
    with pytest.raises(AudioError, match=r"convert it to WAV, .*docs/formats.md.*--pcm"):
        read_file(written(tmp_path, junk))


def test_a_later_part_of_an_ogg_is_told(tmp_path: Path) -> None:
    later = sound("OGG", "VORBIS")[6_000:]
    with pytest.raises(UnsupportedAudio, match="an Ogg whose beginning is missing"):
        read_file(written(tmp_path, later))


@needs_ffmpeg
def test_an_mp4_that_was_never_finished_is_told(tmp_path: Path) -> None:
    moving = ("-movflags", "frag_keyframe+empty_moov")
    data = encoded("-c:a", "aac", *moving, "-f", "mp4")
    with pytest.raises(CorruptAudio, match=r"its index \(moov\) is missing"):
        read_file(written(tmp_path, data.replace(b"moov", b"free")))


def test_a_tag_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        read_file(written(tmp_path, id3(500)))
