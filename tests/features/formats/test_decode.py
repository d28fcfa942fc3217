import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import Audio, decode, downmix, open_recording, read_file
from schemas.errors import (
    AudioError,
    CorruptAudio,
    InvalidSamples,
    UnsupportedAudio,
)
from tests.audio import FLAC_LENGTH, Frames, encode, integers, noise, patched, tone

RATE = 22_050
Y = tone(1.0, RATE)
STEP = 1 / 32768
Decode = Callable[[bytes], Audio]

WAV_RIFF_SIZE, WAV_CHANNELS, WAV_RATE, WAV_DATA_SIZE = 4, 22, 24, 40


@pytest.fixture(params=["bytes", "file"])
def decoded(request: pytest.FixtureRequest, tmp_path: Path) -> Decode:
    """Decode bytes by either way in: they take the same formats and refuse the same."""
    if request.param == "bytes":
        return decode

    def from_file(data: bytes) -> Audio:
        path = tmp_path / "audio.bin"
        path.write_bytes(data)
        return read_file(path)

    return from_file


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", STEP),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0.0),
        ("WAV", "DOUBLE", 0.0),
        ("WAV", "ULAW", 0.05),
        ("RF64", "PCM_16", STEP),
        ("FLAC", "PCM_S8", 1 / 128),
        ("FLAC", "PCM_16", STEP),
        ("FLAC", "PCM_24", 1e-6),
        ("AIFF", "PCM_16", STEP),
        ("AU", "PCM_16", STEP),
        ("OGG", "VORBIS", 0.05),
    ],
)
def test_formats(container: str, subtype: str, tolerance: float, decoded: Decode) -> None:
    audio = decoded(encode(Y, RATE, container, subtype))
    assert audio.sample_rate == RATE
    assert audio.seconds == 1.0
    assert audio.samples.dtype == np.float32
    np.testing.assert_allclose(audio.samples, Y, rtol=0, atol=tolerance)


@pytest.mark.parametrize("tag", [b"", b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)], ids=["plain", "ID3"])
def test_mp3(tag: bytes, decoded: Decode) -> None:
    audio = decoded(tag + encode(Y, RATE, "MP3"))
    assert len(audio.samples) == RATE
    assert np.abs(audio.samples - Y)[2000:-2000].max() < 0.05


def test_opus_resamples_to_its_own_rates() -> None:
    audio = decode(encode(tone(1.0, 48_000), 48_000, "OGG", "OPUS"))
    assert audio.sample_rate == 48_000
    assert audio.seconds == 1.0


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_sample_rates(rate: int, container: str) -> None:
    audio = decode(encode(tone(0.1, rate), rate, container))
    assert (audio.sample_rate, len(audio.samples)) == (rate, rate // 10)


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
@pytest.mark.parametrize("channels", [2, 6, 8])
def test_channels_are_averaged(channels: int, container: str, decoded: Decode) -> None:
    frames = noise(0.2, RATE, channels)
    audio = decoded(encode(frames, RATE, container, "PCM_24"))
    np.testing.assert_allclose(audio.samples, frames.mean(axis=1), rtol=0, atol=1e-6)


@given(st.integers(1, 8), st.integers(1, 40), st.integers(0, 40))
def test_downmix_does_not_depend_on_the_cut(channels: int, length: int, cut: int) -> None:
    frames = noise(length, 1, channels).reshape(-1, channels)
    parts = [downmix(frames[:cut]), downmix(frames[cut:])]
    np.testing.assert_array_equal(np.concatenate(parts), downmix(frames))


@pytest.mark.parametrize("seconds", [0.1, 1 / RATE])
def test_short_audio_is_decoded(seconds: float) -> None:
    assert decode(encode(tone(seconds, RATE), RATE)).seconds == seconds


def test_silence_is_audio() -> None:
    assert not decode(encode(np.zeros(RATE, np.float32), RATE, "FLAC")).samples.any()


def test_long_files_are_read_in_blocks_without_a_seam() -> None:
    y = noise(10.0, RATE)
    np.testing.assert_array_equal(decode(encode(y, RATE, "WAV", "FLOAT")).samples, y)


@pytest.mark.parametrize("container", ["MP3", "OGG", "FLAC"])
def test_reading_in_blocks_changes_nothing(container: str) -> None:
    data = encode(noise(5.0, RATE), RATE, container)
    with open_recording(io.BytesIO(data)) as recording:
        (at_once,) = recording.chunks(1 << 20)
    with open_recording(io.BytesIO(data)) as recording:
        in_blocks = np.concatenate(list(recording.chunks(1_001)))
    np.testing.assert_array_equal(in_blocks, at_once)
    np.testing.assert_array_equal(decode(data).samples, at_once.ravel())


@pytest.mark.parametrize(
    ("content_type", "dtype", "channels"),
    [
        ("audio/L16;rate=22050;channels=1", ">i2", 1),
        ("audio/L16; channels=2; rate=22050", ">i2", 2),
        ("audio/pcm;rate=22050", "<i2", 1),
        ("audio/pcm;rate=22050;channels=1;encoding=s16le", "<i2", 1),
        ('AUDIO/PCM; Rate="22050"; Channels=6; Encoding=S16LE', "<i2", 6),
        ("audio/pcm;rate=22050;channels=1;encoding=f32le", "<f4", 1),
        ("audio/pcm;rate=22050;channels=2;encoding=f32le", "<f4", 2),
    ],
)
def test_raw_pcm(content_type: str, dtype: str, channels: int) -> None:
    pcm = integers(noise(0.5, RATE, channels)).reshape(-1, channels)
    scaled = (pcm / np.float32(32768)).astype(np.float32)
    sent = pcm if dtype.endswith("i2") else scaled
    audio = decode(sent.astype(dtype).tobytes(), content_type)
    assert audio.sample_rate == RATE
    np.testing.assert_allclose(audio.samples, scaled.mean(axis=1), rtol=0, atol=1e-7)


def test_l16_has_the_rate_of_rfc_3551_by_default() -> None:
    audio = decode(b"\x40\x00" * 441, "audio/L16")
    assert (audio.sample_rate, audio.samples[0]) == (44_100, 0.5)


@pytest.mark.parametrize("encoding", ["PCM_16", "FLAC"])
def test_16_bits_are_the_same_however_they_are_sent(encoding: str) -> None:
    pcm = integers(noise(0.5, RATE, 2))
    container = "FLAC" if encoding == "FLAC" else "WAV"
    raw = decode(pcm.astype("<i2").tobytes(), f"audio/pcm;rate={RATE};channels=2")
    np.testing.assert_array_equal(decode(encode(pcm, RATE, container)).samples, raw.samples)


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("audio/pcm", "parameter rate='': raw PCM needs rate=<integer>"),
        ("audio/pcm;rate=", "parameter rate=''"),
        ("audio/pcm;rate=abc", "parameter rate='abc'"),
        ("audio/pcm;rate=-1", "parameter rate='-1'"),
        ("audio/pcm;rate=22050.0", "parameter rate='22050.0'"),
        ("audio/pcm;rate=٣", "parameter rate='٣'"),
        ("audio/pcm;rate=" + "9" * 5_000, "parameter rate='9{40}':"),
        ("audio/pcm;rate*=utf-8''22050", "parameter rate=''"),
        ("audio/pcm;rate=0", "sample rate 0 Hz is out of range, 1000 to 384000 Hz"),
        ("audio/pcm;rate=999", "sample rate 999 Hz"),
        ("audio/L16;rate=384001", "sample rate 384001 Hz"),
        ("audio/pcm;rate=22050;channels=0", "0 channels, 1 to 64 are supported"),
        ("audio/pcm;rate=22050;channels=65", "65 channels"),
        ("audio/pcm;rate=22050;channels=x", "parameter channels='x'"),
        ("audio/pcm;rate=22050;encoding=mulaw", "PCM encoding 'mulaw' is not supported: use s16le"),
        ("video/quicktime", "content-type 'video/quicktime' is not supported: use audio/wav"),
        ("audio", "content-type 'audio' is not supported"),
        ("text/plain; charset=utf-8", "content-type 'text/plain' is not supported"),
    ],
)
def test_bad_content_types(content_type: str, reason: str) -> None:
    with pytest.raises(UnsupportedAudio, match=reason):
        decode(b"\0\0" * 1000, content_type)


@given(st.text(), st.binary(min_size=1))
def test_no_content_type_or_content_raises_anything_else(content_type: str, data: bytes) -> None:
    with pytest.raises(AudioError, match="audio"):
        decode(data, content_type)


@pytest.mark.parametrize("content_type", [None, "audio/wav", "audio/mpeg", "audio/x-flac", ";"])
def test_of_a_container_the_first_bytes_decide(content_type: str | None) -> None:
    assert decode(encode(Y, RATE, "FLAC"), content_type).seconds == 1.0


@pytest.mark.parametrize(
    ("size", "content_type"),
    [
        (3, "audio/L16"),
        (1001, "audio/pcm;rate=22050"),
        (1002, "audio/pcm;rate=22050;channels=2"),
        (1002, "audio/pcm;rate=22050;encoding=f32le"),
    ],
)
def test_pcm_must_be_cut_between_frames(size: int, content_type: str) -> None:
    with pytest.raises(CorruptAudio, match=f"{size} bytes are no whole number of frames"):
        decode(bytes(size), content_type)


def test_empty_messages_and_files(tmp_path: Path) -> None:
    with pytest.raises(CorruptAudio, match="the message is empty: send audio, or the header"):
        decode(b"")
    with pytest.raises(CorruptAudio, match="the message is empty"):
        decode(b"", "audio/pcm;rate=22050")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(CorruptAudio, match="there is nothing in it"):
        read_file(tmp_path / "empty.wav")


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "wave.raw"
    path.write_bytes(encode(Y, RATE))
    assert read_file(path).seconds == 1.0


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        read_file(tmp_path / "gone.wav")


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(seed: int, decoded: Decode) -> None:
    with pytest.raises(UnsupportedAudio, match=r"begins with [0-9a-f ]{23}"):
        decoded(np.random.default_rng(seed).bytes(1_000_000))


@pytest.mark.parametrize(
    "head",
    [b"fLaC", b"OggS", b".snd", b"RF64", b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"ID3"],
)
@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_behind_the_head_of_a_container(head: bytes, seed: int) -> None:
    reasons = "libsndfile cannot decode the audio|nothing of it can be read|is whole|no known audio"
    with pytest.raises(AudioError, match=reasons):
        decode(head + np.random.default_rng(seed).bytes(1_000_000))


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "AIFF", "AU"])
def test_flipped_bytes_never_raise_anything_but_an_audio_error(container: str) -> None:
    rng = np.random.default_rng(0)
    data = encode(tone(0.2, RATE), RATE, container)
    outcomes: set[type] = set()
    for _ in range(200):
        broken = bytearray(data)
        for position in rng.integers(0, min(len(data), 300), 3):
            broken[position] = rng.integers(256)
        try:
            audio = decode(bytes(broken))
        except AudioError as error:
            outcomes.add(type(error))
        else:
            assert np.isfinite(audio.samples).all()
            outcomes.add(Audio)
    assert CorruptAudio in outcomes


FLAC = encode(noise(2.0, RATE), RATE, "FLAC")


@pytest.mark.parametrize("size", [4, 8, 20, 41, 42, 60, 100])
def test_a_flac_of_a_head_alone(size: int, decoded: Decode) -> None:
    with pytest.raises(CorruptAudio, match=r"cannot decode|no frame of the FLAC is whole"):
        decoded(FLAC[:size])


@pytest.mark.parametrize("size", [*range(20_000, len(FLAC), 9_999), -100, -1])
def test_a_flac_that_breaks_off_is_heard_up_to_there(size: int, decoded: Decode) -> None:
    audio, whole = decoded(FLAC[:size]), decode(FLAC).samples
    np.testing.assert_array_equal(audio.samples, whole[: len(audio.samples)])
    assert audio.seconds + audio.missing_seconds == pytest.approx(2.0, abs=1e-6)
    assert "FLAC breaks off" in audio.notes[-1]


def test_flac_that_ends_between_two_of_its_frames() -> None:
    claimed = 2 * RATE + 4096
    audio = decode(patched(FLAC, FLAC_LENGTH, struct.pack(">I", claimed)))
    np.testing.assert_array_equal(audio.samples, decode(FLAC).samples)
    assert audio.missing_seconds == pytest.approx(4096 / RATE)


def test_flac_from_a_pipe_does_not_state_its_length() -> None:
    data = patched(FLAC, FLAC_LENGTH, bytes(4))
    np.testing.assert_array_equal(decode(data).samples, decode(FLAC).samples)
    assert len(decode(data[:-1]).samples) // 4096 == 2 * RATE // 4096


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF])
@pytest.mark.parametrize("fields", [(WAV_RIFF_SIZE,), (WAV_DATA_SIZE,), (4, WAV_DATA_SIZE)])
def test_wav_that_claims_to_be_longer_than_it_is(size: int, fields: tuple[int, ...]) -> None:
    data = encode(Y, RATE)
    for field in fields:
        data = patched(data, field, struct.pack("<I", size))
    np.testing.assert_allclose(decode(data).samples, Y, rtol=0, atol=STEP)


@pytest.mark.parametrize(
    ("field", "content", "error", "reason"),
    [
        (WAV_RATE, struct.pack("<I", 0), CorruptAudio, "cannot decode the audio"),
        (WAV_RATE, struct.pack("<I", 10), UnsupportedAudio, "sample rate 10 Hz is out of range"),
        (WAV_RATE, struct.pack("<I", 10**6), UnsupportedAudio, "sample rate 1000000 Hz"),
        (WAV_CHANNELS, b"\0\0", CorruptAudio, "Channel count is zero"),
        (WAV_CHANNELS, b"\xff\xff", CorruptAudio, "Too many channels"),
        (WAV_CHANNELS, b"\x41\0", UnsupportedAudio, "65 channels, 1 to 64 are supported"),
    ],
)
def test_wav_with_a_bad_header(
    field: int, content: bytes, error: type[AudioError], reason: str, decoded: Decode
) -> None:
    with pytest.raises(error, match=reason):
        decoded(patched(encode(Y, RATE), field, content))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "1 of 22050 samples are NaN or infinite"),
        (np.inf, "1 of 22050 samples are NaN or infinite"),
        (-np.inf, "1 of 22050 samples are NaN or infinite"),
        (65.0, "samples reach 65, at most 64 is accepted: float audio has full scale at 1"),
        (-32768.0, "samples reach 32768, at most 64"),
        (3e38, r"samples reach 3e\+38"),
    ],
)
@pytest.mark.parametrize("position", [0, 7, -1])
def test_samples_that_are_none(value: float, reason: str, position: int, decoded: Decode) -> None:
    y = Y.copy()
    y[position] = value
    with pytest.raises(InvalidSamples, match=reason):
        decoded(encode(y, RATE, "WAV", "FLOAT"))
    with pytest.raises(InvalidSamples, match=reason):
        decode(y.astype("<f4").tobytes(), f"audio/pcm;rate={RATE};encoding=f32le")


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF"])
@pytest.mark.parametrize("cut", [0, 1000, RATE // 2, RATE])
def test_channels_that_cancel_are_averaged_wherever_a_stream_is_cut(
    container: str, cut: int
) -> None:
    left = tone(2.0, RATE)
    right = left * np.repeat(np.array([-1, 1], np.float32), RATE)
    frames = np.stack([left, right], axis=1)
    whole = decode(encode(frames, RATE, container, "PCM_16")).samples
    pieces = [
        decode(encode(f, RATE, container, "PCM_16")).samples
        for f in np.split(frames, [cut])
        if len(f)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_opposite_infinities_do_not_cancel() -> None:
    frames: Frames = np.zeros((100, 2), np.float32)
    frames[5] = np.inf, -np.inf
    with pytest.raises(InvalidSamples, match="1 of 100 samples are NaN or infinite"):
        decode(frames.tobytes(), "audio/pcm;rate=8000;channels=2;encoding=f32le")


@pytest.mark.parametrize("amplitude", [4.0, 64.0])
def test_loud_floats_are_audio(amplitude: float) -> None:
    y = tone(1.0, RATE, amplitude=amplitude)
    np.testing.assert_array_equal(decode(encode(y, RATE, "WAV", "FLOAT")).samples, y)
