"""Files are decoded while they come: what is sent is what the whole file holds."""

import threading
import time
from typing import Any

import pytest

from schemas import AudioChunk
from schemas.errors import AudioError
from services.gateway.decoding import decode_growing
from services.gateway.growing import GrowingFile, UploadEnded
from tests.audio import encode, music
from tests.broker.shell import wait_until

RATE, SECONDS = 22_050, 12
CLIP = music(SECONDS, RATE)
FORMATS = [("WAV", None), ("WAV", "FLOAT"), ("FLAC", None), ("MP3", None), ("OGG", "VORBIS")]


class Upload:
    """A file that comes slowly, and the chunks that are made of it."""

    def __init__(self, *, early: bool = True) -> None:
        self.file, self.chunks = GrowingFile(), list[AudioChunk]()
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._decode, args=(early,), daemon=True)
        self._thread.start()

    def _decode(self, early: bool) -> None:
        try:
            self.outcome = decode_growing(
                self.file, "s", self.chunks.append, allow_ffmpeg=False, early=early
            )
        except (AudioError, UploadEnded) as error:
            self.outcome = error

    def end(self, failure: Exception | None = None) -> Any:
        self.file.finish(failure)
        self._thread.join(20)
        self.file.close()
        return self.outcome

    @property
    def seconds(self) -> float:
        if not self.chunks:
            return 0.0
        sample = 4 if "f32le" in (self.chunks[0].content_type or "") else 2
        return len(self.pcm) / RATE / sample

    @property
    def pcm(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)


def _whole(data: bytes) -> Upload:
    upload = Upload(early=False)
    upload.file.append(data)
    assert upload.end() == pytest.approx(SECONDS, abs=0.1)
    return upload


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_three_seconds_are_sent_when_little_more_has_come(
    container: str, subtype: str | None
) -> None:
    data = encode(CLIP, RATE, container, subtype)
    # A page of Ogg holds seconds of Vorbis, and is decoded when it is whole.
    begin = round(len(data) * (8.0 if container == "OGG" else 4.6) / SECONDS)
    upload = Upload()
    upload.file.append(data[:begin])
    wait_until(lambda: upload.seconds >= 3, 5)
    assert not any(chunk.final for chunk in upload.chunks)
    upload.file.append(data[begin:])
    assert upload.end() == pytest.approx(SECONDS, abs=0.1)
    assert upload.pcm == _whole(data).pcm
    assert [chunk.sequence for chunk in upload.chunks] == list(range(len(upload.chunks)))
    assert [chunk.final for chunk in upload.chunks].count(True) == 1
    assert upload.chunks[-1].final


def test_chunks_of_all_lengths_are_heard_one_after_the_other() -> None:
    chunks = _whole(encode(CLIP, RATE, "WAV")).chunks
    begun = chunks[0].captured_at
    assert begun is not None
    assert abs(begun - 1000 * time.time()) < 60_000
    frames, times = 0, []
    for chunk in chunks:
        times.append(begun + round(1000 * frames / RATE))
        frames += len(chunk.data) // 2
    found = [chunk.captured_at or 0 for chunk in chunks]
    assert found == pytest.approx(times, abs=1)
    assert len({len(chunk.data) for chunk in chunks[:-1]}) > 1


def test_a_file_that_is_another_one_at_its_end_begins_anew() -> None:
    """The second part has another encoding: samples of the whole are floats, not integers."""
    first, second = encode(CLIP, RATE), encode(CLIP, RATE, "FLAC")
    upload = Upload()
    upload.file.append(first)
    wait_until(lambda: upload.seconds >= 3, 5)
    upload.file.append(second)
    assert upload.end() == pytest.approx(2 * SECONDS, abs=0.1)
    zeros = [number for number, chunk in enumerate(upload.chunks) if chunk.sequence == 0]
    assert len(zeros) == 2
    again = upload.chunks[zeros[1] :]
    assert sum(len(chunk.data) for chunk in again) == 4 * RATE * SECONDS * 2
    assert again[-1].final


def test_an_upload_that_breaks_off_ends_its_stream() -> None:
    data = encode(CLIP, RATE)
    upload = Upload()
    upload.file.append(data[: len(data) // 2])
    wait_until(lambda: upload.seconds >= 3, 5)
    assert isinstance(upload.end(UploadEnded()), UploadEnded)
    assert upload.chunks[-1].final


def test_what_is_no_audio_is_refused_before_it_is_whole() -> None:
    upload = Upload()
    upload.file.append(b"no music " * 2_000_000)
    wait_until(lambda: upload.outcome is not None, 10)
    assert isinstance(upload.end(), AudioError)


def test_a_fast_upload_is_decoded_once() -> None:
    began = time.monotonic()
    upload = _whole(encode(CLIP, RATE))
    assert upload.chunks[0].sequence == 0
    assert time.monotonic() - began < 5
