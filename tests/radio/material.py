"""Minutes of sound in every container that stations use, and ffmpeg's own decoding of it."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE: Final = 22_050
#: Ten minutes are the full size; what is no chain is shorter unless RADIO_SECONDS says so.
SECONDS: Final = 600
SHORT_SECONDS: Final = float(os.environ.get("RADIO_SECONDS", "90"))
LINKS: Final = 60
#: Every link of a chain has another one than the link before.
LINK_RATES: Final = (44_100, 48_000, 32_000)
_TITLE: Final = ("-metadata", "artist=Sigur Rós", "-metadata")


@dataclass(frozen=True)
class Kind:
    """A kind of source: how ffmpeg writes it, and how a server calls it."""

    name: str
    arguments: tuple[str, ...]
    content_type: str
    chained: bool = False


KINDS: Final = (
    Kind("mp3", ("-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3"), "audio/mpeg"),
    Kind("aac", ("-c:a", "aac", "-b:a", "96k", "-f", "adts"), "audio/aacp"),
    Kind("flac", ("-c:a", "flac", "-f", "flac"), "audio/flac"),
    Kind("vorbis", ("-c:a", "libvorbis", "-q:a", "4", "-f", "ogg"), "application/ogg"),
    Kind("opus", ("-c:a", "libopus", "-b:a", "96k", "-f", "ogg"), "audio/ogg"),
    Kind("ogg-flac", ("-c:a", "flac", "-f", "ogg"), "audio/ogg"),
    Kind("vorbis-chain", ("-c:a", "libvorbis", "-q:a", "4", "-f", "ogg"), "audio/ogg", True),
    Kind("opus-chain", ("-c:a", "libopus", "-b:a", "96k", "-f", "ogg"), "audio/ogg", True),
    Kind("flac-chain", ("-c:a", "flac", "-f", "ogg"), "audio/ogg", True),
)


def run(*arguments: str, data: bytes = b"") -> bytes:
    """Run ffmpeg; return what it writes to its standard output."""
    command = ["ffmpeg", "-v", "error", "-nostdin" if not data else "-hide_banner", *arguments]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


def music(path: Path, seconds: float = SECONDS) -> None:
    """Write sound whose pitch and loudness never repeat, so that a shift is noticed."""
    time = np.arange(round(seconds * 44_100)) / 44_100
    noise = np.random.default_rng(5).standard_normal(len(time)) * 0.05
    sweep = np.sin(2 * np.pi * (200 * time + 900 * np.sin(time / 7.0)))
    swell = 0.3 + 0.2 * np.sin(time * 1.7)
    soundfile.write(path, (swell * sweep + noise).astype(np.float32), 44_100, subtype="PCM_16")


def encode(kind: Kind, source: Path) -> list[bytes]:
    """Return the links of a stream: one, but of a chain `LINKS` with changing rates and titles."""
    if not kind.chained:
        length = ("-t", str(SHORT_SECONDS))
        return [run(*length, "-i", str(source), *kind.arguments, "pipe:1")]

    def encode_link(number: int) -> bytes:
        return run(
            *("-ss", str(number * SECONDS / LINKS), "-t", str(SECONDS / LINKS), "-i", str(source)),
            *("-ar", str(_rate(kind, number)), *_TITLE, f"title=Track {number}"),
            *(*kind.arguments, "pipe:1"),
        )

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(encode_link, range(LINKS)))


def _rate(kind: Kind, number: int) -> int:
    """Return the rate of a link; Opus has one rate only, and changes its channels instead."""
    return 48_000 if "opus" in kind.name else LINK_RATES[number % len(LINK_RATES)]


def decoded(links: list[bytes]) -> NDArray[np.int16]:
    """Return ffmpeg's own decoding of links, mono at 22,050 Hz [shape=(n,)]."""
    output = ("-i", "pipe:0", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "pipe:1")
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(lambda link: run(*output, data=link), links)
        return np.frombuffer(b"".join(parts), "<i2")


def correlation(x: NDArray[np.int16], y: NDArray[np.int16]) -> float:
    """Return Pearson's correlation of two signals of about one length, without any shift."""
    count = min(len(x), len(y))
    return float(np.corrcoef(x[:count].astype(float), y[:count].astype(float))[0, 1])
