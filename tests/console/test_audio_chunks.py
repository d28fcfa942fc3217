from pathlib import Path

import numpy as np
import pytest
import soundfile

from features import decode, read_file
from schemas.errors import CorruptAudio, UnsupportedAudio
from services.commands.demo import name_streams
from services.console.audio_chunks import Codec, audio_files, captured, chunk_file
from services.settings import MAX_MESSAGE_BYTES
from tests.audio import encode, tone
from tests.broker.harness import music

RATE = 22_050


def write(path: Path, channels: int = 1, rate: int = RATE, subtype: str | None = None) -> Path:
    mono = music(7.3, rate)
    soundfile.write(path, np.stack([mono] * channels, axis=1), rate, subtype=subtype)
    return path


@pytest.mark.parametrize(
    ("name", "channels", "rate", "subtype"),
    [
        ("16.wav", 1, 22_050, "PCM_16"),
        ("8.wav", 2, 8_000, "PCM_U8"),
        ("24.wav", 2, 44_100, "PCM_24"),
        ("32.wav", 1, 48_000, "PCM_32"),
        ("float.wav", 1, 44_100, "FLOAT"),
        ("six.wav", 6, 48_000, "PCM_16"),
        ("nine.wav", 9, 22_050, "PCM_16"),
        ("high.wav", 2, 192_000, "PCM_24"),
        ("24.flac", 2, 44_100, "PCM_24"),
        ("stereo.ogg", 2, 22_050, None),
        ("stereo.mp3", 2, 44_100, None),
    ],
)
@pytest.mark.parametrize("seconds", [0.25, 3.0])
def test_chunks_are_the_file_bit_for_bit(
    tmp_path: Path, name: str, channels: int, rate: int, subtype: str | None, seconds: float
) -> None:
    file = write(tmp_path / name, channels, rate, subtype)
    chunks = [timed.chunk for timed in chunk_file(file, "s", seconds)]
    decoded = [decode(chunk.data, chunk.content_type) for chunk in chunks]
    whole = read_file(file)
    assert np.array_equal(np.concatenate([audio.samples for audio in decoded]), whole.samples)
    assert {audio.sample_rate for audio in decoded} == {rate}
    assert [chunk.final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
    assert max(len(chunk.data) for chunk in chunks) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize("codec", ["pcm", "wav", "flac", "ogg", "mp3"])
def test_every_codec_decodes_alone(tmp_path: Path, codec: Codec) -> None:
    file = write(tmp_path / "a.wav")
    for timed in chunk_file(file, "s", 3.0, codec):
        audio = decode(timed.chunk.data, timed.chunk.content_type)
        assert audio.seconds == pytest.approx(timed.seconds, abs=0.2)  # MP3 pads to whole frames


def test_a_short_rest_goes_into_the_last_chunk(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", music(9.9), RATE)
    soundfile.write(tmp_path / "b.wav", music(10.5), RATE)
    seconds = {
        name: [round(timed.seconds, 1) for timed in chunk_file(tmp_path / name, "s", 3.0)]
        for name in ("a.wav", "b.wav")
    }
    assert seconds == {"a.wav": [3.0, 3.0, 3.9], "b.wav": [3.0, 3.0, 3.0, 1.5]}


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(UnsupportedAudio, match=r"text\.wav: no known audio container begins"):
        list(chunk_file(tmp_path / "text.wav", "s", 3.0))
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    with pytest.raises(CorruptAudio, match=r"none\.wav: the container holds no audio"):
        list(chunk_file(tmp_path / "none.wav", "s", 3.0))
    six = write(tmp_path / "six.wav", channels=6)
    with pytest.raises(UnsupportedAudio, match="use --codec pcm"):
        list(chunk_file(six, "s", 3.0, "mp3"))


def test_files_of_a_folder_are_found_whatever_their_case(tmp_path: Path) -> None:
    for name in ("b.WAV", "a.flac", "notes.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in audio_files(tmp_path)] == ["a.flac", "b.WAV"]
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        audio_files(tmp_path / "none")


def test_files_of_one_name_get_streams_of_their_own() -> None:
    files = [Path("x/a.wav"), Path("y/a.wav"), Path("b.wav")]
    assert name_streams(files) == {"a": files[0], "a-2": files[1], "b": files[2]}


def test_chunks_say_when_they_were_heard(tmp_path: Path) -> None:
    chunks = list(captured(chunk_file(write(tmp_path / "a.wav"), "s", 0.7), 1_767_225_600_000))
    begun, at = 0.0, []
    for timed in chunks:
        at.append(timed.chunk.captured_at)
        assert timed.chunk.captured_at == round(1_767_225_600_000 + 1000 * begun)
        begun += timed.seconds
    assert len(set(at)) == len(chunks) == 10
    assert begun == pytest.approx(7.3)


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    for name in ("song.mp3", "._song.mp3", ".hidden.wav", "cover.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    said: list[str] = []
    assert [file.name for file in audio_files(tmp_path, said.append)] == ["song.mp3"]
    assert said == [
        f"{tmp_path / 'link'} is a link to a folder and is left out",
        f"2 hidden files in {tmp_path} left out",
    ]


def test_an_odd_file_is_sent_whole(tmp_path: Path) -> None:
    link = encode(tone(2.0, 22_050), 22_050, "OGG")
    path = tmp_path / "chain.ogg"
    path.write_bytes(link * 2)
    assert sum(timed.seconds for timed in chunk_file(path, "s", 1.0)) == 4.0
