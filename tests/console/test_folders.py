"""What lies in a folder is heard, or what is left out of it is said."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from features.formats.folders import files_below, printable
from features.formats.table import AUDIO_SUFFIXES
from schemas import AudioChunk
from schemas.errors import AudioError
from services.commands import produce
from services.commands.demo import name_streams
from services.console.audio_chunks import audio_files
from services.settings import Settings, load_settings
from tests.audio import encode, integers, tone
from training.data.audio_folders import find_audio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two songs of one name, a broken one, and what else lies in a folder."""
    song = encode(integers(tone(2.0, 8_000)), 8_000, "WAV", "PCM_16")
    for name in ("a/song.wav", "b/song.wav", "a/._song.wav", "a/.hidden/song.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(song)
    (tmp_path / "a" / "broken.mp3").write_bytes(b"this is no audio at all, but text")
    (tmp_path / "a" / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "a" / "gone.flac").symlink_to(tmp_path / "nothing")
    (tmp_path / "c").symlink_to(tmp_path / "a", target_is_directory=True)
    return tmp_path


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[AudioChunk]:
    """Chunks that `produce` sends, with no broker."""
    chunks: list[AudioChunk] = []

    class Producer:
        async def flush(self) -> None:
            """Nothing waits."""

    @asynccontextmanager
    async def producer(_: Settings) -> AsyncIterator[Producer]:
        yield Producer()

    async def send(_: Any, __: Settings, chunk: AudioChunk) -> asyncio.Future[None]:
        chunks.append(chunk)
        delivered = asyncio.get_running_loop().create_future()
        delivered.set_result(None)
        return delivered

    monkeypatch.setattr(produce, "chunk_producer", producer)
    monkeypatch.setattr(produce, "send_chunk", send)
    return chunks


def test_hidden_files_links_and_broken_links_are_reported(folder: Path) -> None:
    said: list[str] = []
    names = [str(path.relative_to(folder)) for path in files_below(folder, said.append)]
    assert names == ["a/broken.mp3", "a/cover.jpg", "a/song.wav", "b/song.wav"]
    assert sorted(said, key=len) == sorted(
        [
            f"2 hidden files in {folder} left out",
            f"{folder / 'a/gone.flac'} is a link to nothing and is left out",
            f"{folder / 'c'} is a link to a folder and is left out",
        ],
        key=len,
    )


def test_a_folder_that_cannot_be_read_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(path: Any) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    said: list[str] = []
    assert [path.name for path in audio_files(folder, said.append)] == ["broken.mp3", "song.wav"]
    assert f"{folder / 'b'} cannot be read and is left out: Permission denied" in said


def test_every_suffix_of_the_table_is_looked_for(tmp_path: Path) -> None:
    for suffix in AUDIO_SUFFIXES:
        (tmp_path / f"x{suffix.upper()}").touch()
    assert len(audio_files(tmp_path)) == len(AUDIO_SUFFIXES) > 30


def test_produce_sends_what_is_good_and_reports_the_rest(
    folder: Path, sent: list[AudioChunk], capsys: pytest.CaptureFixture[str]
) -> None:
    request = produce.ProduceRequest([str(folder)])
    assert asyncio.run(produce.produce(load_settings(), request)) == 1
    assert {chunk.stream_id for chunk in sent} == {"a/song", "b/song"}
    assert [chunk.final for chunk in sent] == [True, True]
    errors = capsys.readouterr().err
    assert "broken.mp3: it begins with" in errors
    assert errors.rstrip().endswith("1 of 3 files were not sent whole, all others were")
    assert "2 hidden files" in errors


def test_files_of_one_name_from_anywhere_are_streams_of_their_own(
    folder: Path, sent: list[AudioChunk]
) -> None:
    sources = [str(folder / "a/song.wav"), str(folder / "b/song.wav")]
    assert asyncio.run(produce.produce(load_settings(), produce.ProduceRequest(sources))) == 0
    assert len({chunk.stream_id for chunk in sent}) == 2


def test_one_file_that_is_broken_is_an_error(folder: Path, sent: list[AudioChunk]) -> None:
    request = produce.ProduceRequest([str(folder / "a" / "broken.mp3")])
    with pytest.raises(AudioError, match=r"broken\.mp3: .* text"):
        asyncio.run(produce.produce(load_settings(), request))
    assert sent == []


def test_names_of_any_bytes(tmp_path: Path, sent: list[AudioChunk]) -> None:
    odd = tmp_path / "rock" / os.fsdecode(b"caf\xe9\n.wav")
    odd.parent.mkdir()
    odd.write_bytes(encode(integers(tone(2.0, 8_000)), 8_000, "WAV", "PCM_16"))
    assert asyncio.run(produce.produce(load_settings(), produce.ProduceRequest([str(odd)]))) == 0
    assert [chunk.stream_id for chunk in sent] == ["caf\ufffd\ufffd"]
    assert list(name_streams([odd])) == ["caf\ufffd\ufffd"]
    assert [file.track for file in find_audio(tmp_path)[0]] == ["rock/caf\ufffd\ufffd"]
    assert printable("ça va, 曲") == "ça va, 曲"
