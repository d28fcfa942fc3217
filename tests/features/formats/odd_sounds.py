"""Make inputs as strangers have them: joined, cut, captured, mislabelled, with wrong heads.

Each is a function from nothing to bytes, and how many seconds of audio are in them. Those that need
ffmpeg to be made are in `BY_FFMPEG`.
"""

import struct
import subprocess
from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np

from features.formats.ffmpeg import ffmpeg_path
from tests.audio import encode, integers, noise

SECONDS: Final = 2.0
RATE: Final = 44_100
ID3V1: Final = b"TAG" + b"x" * 125
HTTP: Final = b"HTTP/1.0 200 OK\r\nServer: Icecast 2.4.4\r\nicy-br:128\r\n\r\n"

Odd = tuple[Callable[[], bytes], float]


@cache
def sound(container: str = "MP3", subtype: str = "MPEG_LAYER_III", rate: int = RATE) -> bytes:
    """Encode a piece."""
    frames = noise(SECONDS, rate, seed=3) * np.float32(0.3)
    return encode(frames, rate, container, subtype)


@cache
def foreign(*options: str) -> bytes:
    """Encode the piece by ffmpeg."""
    command = [ffmpeg_path() or "", "-v", "error", "-i", "pipe:0", *options, "pipe:1"]
    wav = sound("WAV", "PCM_16", 48_000 if "libopus" in options else RATE)
    return subprocess.run(command, input=wav, capture_output=True, check=True).stdout


def aac(rate: int = RATE) -> bytes:
    """Return the piece as AAC in ADTS."""
    return foreign("-c:a", "aac", "-ar", str(rate), "-f", "adts")


def id3(content: int, stated: int | None = None) -> bytes:
    """Make an ID3v2 tag that may state another length than it has."""
    size = content if stated is None else stated
    length = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + length + b"TIT2\0\0\0\2\0\0\0T".ljust(content, b"\0")


def titled(data: bytes, interval: int = 4_096) -> bytes:
    """Leave the titles of a station between the bytes, as `Icy-MetaData: 1` has them."""
    title = b"\x02" + b"StreamTitle='A - B';".ljust(32, b"\0")
    places = range(0, len(data), interval)
    return b"".join(data[p : p + interval] + (title if p % 3 else b"\0") for p in places)


def riff(*chunks: tuple[bytes, bytes, int | None], size: int | None = None) -> bytes:
    """Make a WAV of chunks: name, content, and the length that it states."""
    body = b"WAVE"
    for name, content, stated in chunks:
        length = len(content) if stated is None else stated
        body += name + struct.pack("<I", length) + content + b"\0" * (len(content) & 1)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


PCM: Final = integers(noise(SECONDS, RATE, seed=3) * 0.3).astype("<i2").tobytes()
FMT: Final = (b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16), None)


def without_padding() -> bytes:
    """Make a WAV whose writer forgets the byte behind a chunk of odd length."""
    head = b"RIFF\xff\xff\0\0WAVE" + b"fmt " + struct.pack("<I", 16) + FMT[1]
    return head + b"LIST\5\0\0\0INFOx" + b"data" + struct.pack("<I", len(PCM)) + PCM


def counted(frames: int) -> bytes:
    """Make an MP3 whose Xing header states so many frames."""
    data = sound()
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    assert place > 8
    return data[:place] + struct.pack(">I", frames) + data[place + 4 :]


def short_flac() -> bytes:
    """Make a FLAC whose head states half of its samples."""
    data = sound("FLAC", "PCM_16")
    return data[:22] + struct.pack(">I", round(RATE * SECONDS / 2)) + data[26:]


def sized(container: str, chunk: bytes, size: bytes) -> bytes:
    """Make a container whose chunk with the audio states another size."""
    data = sound(container, "PCM_16")
    place = data.find(chunk) + len(chunk)
    return data[:place] + size + data[place + len(size) :]


MADE: Final[dict[str, Odd]] = {
    "three MP3s of other rates": (
        lambda: sound() + sound(rate=48_000) + sound(rate=22_050),
        3 * SECONDS,
    ),
    "ICY titles between frames": (lambda: titled(sound()), SECONDS),
    "ID3 padding that is not counted": (lambda: id3(600, 200) + sound(), SECONDS),
    "ID3 that states 20 MB": (lambda: id3(600, 20_000_000) + sound(), SECONDS),
    "ID3 twice": (lambda: id3(600) + id3(300) + sound(), SECONDS),
    "a tag between two MP3s": (lambda: sound() + ID3V1 + id3(300) + sound(), 2 * SECONDS),
    "HTTP in front of MP3": (lambda: HTTP + sound(), SECONDS),
    "HTTP in front of WAV": (lambda: HTTP + sound("WAV", "PCM_16"), SECONDS),
    "Xing that states too few": (lambda: counted(20), SECONDS),
    "Xing that states half an hour": (lambda: counted(80_000), SECONDS),
    "a page of the web in front": (lambda: b"<html>wait</html>\n" * 40 + sound(), SECONDS),
    "zeros around": (lambda: bytes(9_000) + sound() + bytes(9_000), SECONDS),
    "MP3 from within a frame": (lambda: sound()[777:], SECONDS),
    "WAV of data size 0": (lambda: riff(FMT, (b"data", PCM, 0), size=0), SECONDS),
    "WAV from a pipe": (lambda: riff(FMT, (b"data", PCM, 0xFFFFFFFF), size=0xFFFFFFFF), SECONDS),
    "WAV that states half": (lambda: riff(FMT, (b"data", PCM, len(PCM) // 2)), SECONDS),
    "two data chunks": (lambda: riff(FMT, (b"data", PCM, None), (b"data", PCM, None)), 2 * SECONDS),
    "WAV without padding": (without_padding, SECONDS),
    "WAV behind WAV": (
        lambda: sound("WAV", "PCM_16") + sound("WAV", "FLOAT", 48_000),
        2 * SECONDS,
    ),
    "RF64 behind CAF": (lambda: sound("CAF", "PCM_16") + sound("RF64", "PCM_16"), 2 * SECONDS),
    "mu-law": (lambda: sound("WAV", "ULAW", 8_000), SECONDS),
    "ADPCM": (lambda: sound("WAV", "IMA_ADPCM"), SECONDS),
    "192 kHz": (lambda: sound("WAV", "PCM_24", 192_000), SECONDS),
    "float64": (lambda: sound("WAV", "DOUBLE"), SECONDS),
    "CAF of unknown size": (lambda: sized("CAF", b"\0data", b"\xff" * 8), SECONDS),
    "AIFF that was not finished": (lambda: sized("AIFF", b"SSND", bytes(4)), SECONDS),
    "AU of size 0": (lambda: sized("AU", b".snd\0\0\0\x18", bytes(4)), SECONDS),
    "FLAC that states half": (short_flac, SECONDS),
    "FLAC and WAV behind": (
        lambda: sound("FLAC", "PCM_16") + sound("WAV", "PCM_16"),
        2 * SECONDS,
    ),
    "a chain of Ogg of other rates": (
        lambda: sound("OGG", "VORBIS") + sound("OGG", "VORBIS", 22_050),
        2 * SECONDS,
    ),
    "Opus behind Vorbis": (
        lambda: sound("OGG", "VORBIS") + sound("OGG", "OPUS", 48_000),
        2 * SECONDS,
    ),
}

#: Made by ffmpeg, and heard without it.
MADE_BY_FFMPEG: Final[dict[str, Odd]] = {
    "two of layer II": (lambda: 2 * foreign("-c:a", "mp2", "-f", "mp2"), 2 * SECONDS),
    "FLAC in Ogg, a chain": (lambda: 2 * foreign("-c:a", "flac", "-f", "ogg"), 2 * SECONDS),
    "MP3 in WAV": (lambda: foreign("-c:a", "libmp3lame", "-f", "wav"), SECONDS),
}

#: Heard by ffmpeg alone; with what a refusal names.
BY_FFMPEG: Final[dict[str, tuple[Callable[[], bytes], float, str]]] = {
    "AAC": (aac, SECONDS, "AAC"),
    "AAC of two rates": (lambda: aac() + aac(48_000), 2 * SECONDS, "AAC"),
    "AAC with titles": (lambda: titled(aac()), SECONDS, "AAC"),
    "AAC from within a frame": (lambda: aac()[333:], SECONDS, "AAC"),
    "AAC behind a page of the web": (lambda: b"<html>\n" * 40 + aac(), SECONDS, "AAC"),
    "LATM": (lambda: foreign("-c:a", "aac", "-f", "latm"), SECONDS, "LATM"),
    "WMA": (lambda: foreign("-c:a", "wmav2", "-f", "asf"), SECONDS, "WMA"),
    "WMA in WAV": (lambda: foreign("-c:a", "wmav2", "-f", "wav"), SECONDS, r"WAV with .*\(WMA\)"),
    "G.726 in WAV": (
        lambda: foreign("-ar", "8000", "-ac", "1", "-c:a", "g726", "-f", "wav"),
        SECONDS,
        r"\(G.726\)",
    ),
    "WebM": (lambda: foreign("-c:a", "libopus", "-f", "webm"), SECONDS, "WebM"),
    "AC-3": (lambda: foreign("-c:a", "ac3", "-f", "ac3"), SECONDS, "AC-3"),
    "MPEG program stream": (lambda: foreign("-c:a", "mp2", "-f", "mpeg"), SECONDS, "program"),
    "MPEG transport stream": (lambda: foreign("-c:a", "aac", "-f", "mpegts"), SECONDS, "transport"),
    "a transport stream from within a packet": (
        lambda: foreign("-c:a", "aac", "-f", "mpegts")[100:],
        SECONDS,
        "transport",
    ),
    "a camera's transport stream": (
        lambda: foreign("-c:a", "aac", "-f", "mpegts", "-mpegts_m2ts_mode", "1"),
        SECONDS,
        "transport",
    ),
    "True Audio": (lambda: foreign("-c:a", "tta", "-f", "tta"), SECONDS, "True Audio"),
    "Speex": (
        lambda: foreign("-ar", "16000", "-c:a", "libspeex", "-f", "ogg"),
        SECONDS,
        "[Ss]peex",
    ),
}

#: What is no audio: its first bytes, and what a refusal calls it.
NO_AUDIO: Final = {
    b"<!DOCTYPE html><html>": "a page of the web",
    b"#EXTM3U\nhttp://radio.example/a.mp3\n": "a playlist",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0": "a picture",
    b"PK\x03\x04" + bytes(20): "ZIP",
    b"just some words, and no sound at all": "text",
    bytes(100): "nothing but zeros",
    b"MThd\0\0\0\x06": "MIDI",
}
