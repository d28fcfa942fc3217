"""Mutate audio of every format, and compare the seconds heard with those that ffmpeg hears.

``python -m tests.faults.decode_fuzz 100000``; `make fuzz-decode`. A difference is fine where a word
about it is in the notes, or the audio is refused in words. ffmpeg is asked only where there is no
word, and not as much is heard as the sound files held before they were changed.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from features import decode
from features.formats.ffmpeg import ffmpeg_path
from schemas.errors import AudioError
from terminal.processes import map_in_processes, usable_processors
from tests.audio import encode, noise

RATE: Final = 44_100
#: By how much less may be heard without a word: two frames of MP3, and an encoder's delay.
TOLERANCE_SECONDS: Final = 0.1
#: Ten times as fast as it plays, and a base for what is short.
_SPEED: Final = 10.0
_BASE_SECONDS: Final = 0.5
#: Of the whole process, with Python and all libraries.
_MAX_MEMORY: Final = 400_000_000
#: Mutations that one process makes by one seed.
_BATCH: Final = 500
_SECONDS: Final = 2.0

_LIBSNDFILE: Final = (
    ("WAV", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("W64", "PCM_16"),
    ("CAF", "PCM_16"),
    ("RF64", "PCM_16"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutation: seconds heard, seconds by ffmpeg, words, and what it cost."""

    name: str
    heard: float | None
    expected: float
    words: str
    cpu_seconds: float

    @property
    def differs(self) -> bool:
        """Whether more or less was heard than is there, without a word."""
        return not self.words and abs(self.expected - (self.heard or 0.0)) > TOLERANCE_SECONDS

    @property
    def is_slow(self) -> bool:
        """Whether it took longer than a tenth of what it holds."""
        return self.cpu_seconds > _BASE_SECONDS + max(self.expected, self.heard or 0.0) / _SPEED


def originals(rng: random.Random) -> dict[str, bytes]:
    """Encode a piece in every format."""
    y = noise(_SECONDS, RATE, rng.choice([1, 2]))
    y *= np.float32(0.3)
    return {
        f"{container} {subtype}": encode(
            np.resize(y, (48_000 * 2, *y.shape[1:])) if subtype == "OPUS" else y,
            48_000 if subtype == "OPUS" else RATE,
            container,
            subtype,
        )
        for container, subtype in _LIBSNDFILE
    }


def _join(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    return data + rng.choice([data, data, rng.choice(others)])


def _cut(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    return data[: rng.randrange(len(data) // 4, len(data))]


def _delete(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 3_000) :]


def _insert(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    start = rng.randrange(len(data))
    junk = rng.choice([bytes(4_096), rng.randbytes(700), b"\x03StreamTitle='a';".ljust(49, b"\0")])
    return data[:start] + junk + data[start:]


def _flip(rng: random.Random, data: bytes, _: list[bytes]) -> bytes:
    changed = bytearray(data)
    for _number in range(rng.choice([1, 3, 20])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


_MUTATIONS: Final[dict[str, Callable[[random.Random, bytes, list[bytes]], bytes]]] = {
    "join": _join,
    "cut": _cut,
    "delete": _delete,
    "insert": _insert,
    "flip": _flip,
}


def mutations(seed: int, count: int) -> Iterator[tuple[str, bytes, list[bytes]]]:
    """Yield so many mutated files, the same for a seed: name, bytes, and what ffmpeg is to hear.

    Of joined files ffmpeg hears the first alone in most formats; all of it is what is there.
    """
    rng = random.Random(seed)
    pieces = originals(rng)
    for number in range(count):
        name, change = rng.choice(list(pieces)), rng.choice(list(_MUTATIONS))
        data = _MUTATIONS[change](rng, pieces[name], list(pieces.values()))
        joined = [pieces[name], data[len(pieces[name]) :]]
        yield f"{seed}/{number} {name} {change}", data, joined if change == "join" else [data]


def try_one(name: str, data: bytes, there: list[bytes], ffmpeg: str) -> Outcome:
    """Hear a file by our decoders and by ffmpeg."""
    start = time.process_time()
    heard, words = None, ""
    try:
        audio = decode(data)
        heard, words = audio.seconds, "; ".join(audio.notes)
    except AudioError as error:
        words = str(error)
    except Exception as error:  # whatever it is, a worker would end by it
        return Outcome(f"{name} {error!r}", None, len(there) * _SECONDS, "", 0.0)
    spent = time.process_time() - start
    whole = len(there) * _SECONDS
    if not words and abs(whole - (heard or 0.0)) > TOLERANCE_SECONDS:
        whole = sum(_by_ffmpeg(part, ffmpeg) for part in there)
    return Outcome(name, heard, whole, words, spent)


def try_batch(seed: int, count: int = _BATCH) -> list[Outcome]:
    """Return what went wrong with the mutations of a seed, and the memory that they took at most.

    Memory above the limit is an outcome too: of the whole batch.
    """
    ffmpeg = ffmpeg_path()
    assert ffmpeg, "asked for before"
    outcomes = [try_one(*mutation, ffmpeg) for mutation in mutations(seed, count)]
    memory = _peak_bytes()
    if memory > _MAX_MEMORY:
        outcomes.append(Outcome(f"{seed} memory", memory, 0.0, "", 0.0))
    return [outcome for outcome in outcomes if outcome.differs or outcome.is_slow]


def _peak_bytes() -> int:
    """Return the most memory that this process has held; `getrusage` would tell its parent's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _by_ffmpeg(data: bytes, ffmpeg: str) -> float:
    """Return the seconds that ffmpeg hears in a file that it can seek in."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = [ffmpeg, "-v", "quiet", "-i", file.name, "-vn", "-ac", "1", "-ar", "8000"]
        output = subprocess.run(
            [*command, "-f", "s16le", "pipe:1"], capture_output=True, check=False
        ).stdout
    return len(output) / 2 / 8_000


def main(count: int, seed: int = 0) -> int:
    """Try so many mutations; return how many were heard wrong without a word, or too slowly."""
    if ffmpeg_path() is None:
        sys.exit("make fuzz-decode compares with ffmpeg, and there is none: install it")
    size = min(count, _BATCH)
    batches = -(-count // size)
    seeds = range(seed, seed + batches)
    bad: Counter[str] = Counter()
    found: Iterable[list[Outcome]]
    if batches == 1:
        found = map(try_batch, seeds, [size])
    else:
        found = map_in_processes(try_batch, seeds, usable_processors())
    for outcome in chain.from_iterable(found):
        bad[outcome.name.split(" ", 1)[1]] += 1
        sys.stdout.write(f"{outcome}\n")
        sys.stdout.flush()
    sys.stdout.write(
        f"{batches * size} mutations, {bad.total()} heard wrong or slowly, or in more than "
        f"{_MAX_MEMORY // 1_000_000} MB: {dict(bad)}\n"
    )
    return bad.total()


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), *map(int, sys.argv[2:]))))
