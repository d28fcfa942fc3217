"""Streams as a crowd of producers sends them: mixed codecs, rates and chunk sizes, interleaved."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise

import numpy as np

from tests.audio import Frames, encode, integers, music
from tests.broker.harness import Message

#: The cheap model: what is tested here is the way, not the answer.
MODEL = "discriminant-librosa-52"
#: Content type of a chunk, and container and subtype for libsndfile; raw PCM has none.
_CODECS = (
    ("audio/pcm;rate={rate};channels=1;encoding=s16le", None, None),
    ("audio/wav", "WAV", "PCM_16"),
    ("audio/flac", "FLAC", "PCM_16"),
    ("audio/ogg", "OGG", "VORBIS"),
    ("audio/mpeg", "MP3", "MPEG_LAYER_III"),
)
_RATES = (16_000, 22_050, 44_100)
_STEP = 12_347
_POISON = 5
_CHUNK_SECONDS = (0.2, 2.5)


@dataclass(frozen=True)
class Scale:
    """Size of a test, from the command line."""

    streams: int
    seconds: float
    faults: int
    seed: int


def crowd(scale: Scale) -> list[Message]:
    """Make streams and interleave their chunks, and some junk, by the time of sending."""
    return [message for _, message in timed_crowd(scale)]


def timed_crowd(
    scale: Scale, spread: float = 0.0, enough: Callable[[], bool] = lambda: True
) -> Iterator[tuple[float, Message]]:
    """Make the messages of a crowd with the second that each is sent at in real time.

    Parameters
    ----------
    scale
        Number and length of the streams.
    spread
        Seconds over which the streams begin.
    enough
        Asked when all have begun: further streams begin at the same pace until it is true.
    """
    rng = random.Random(scale.seed)
    waiting = [
        (rng.uniform(0, spread + scale.seconds), Message(rng.randbytes(2000), name.encode()))
        for name in (f"poison-{number}" for number in range(_POISON))
    ]
    for number in count():
        begin = spread * number / scale.streams
        waiting.sort(key=lambda timed: timed[0])
        while waiting and waiting[0][0] < begin:
            yield waiting.pop(0)
        if number >= scale.streams and enough():
            break
        waiting += [
            (begin + at, message) for at, message in _stream(f"stream-{number}", scale, number)
        ]
    yield from waiting


def portions(messages: list[Message], count: int) -> list[list[Message]]:
    """Cut a load into parts: the first a third, to hold whole windows; the others equal."""
    head = len(messages) // 3
    rest = len(messages) - head
    borders = [0, *(head + rest * i // (count - 1) for i in range(count))]
    return [messages[a:b] for a, b in pairwise(borders)]


def _stream(name: str, scale: Scale, number: int) -> Iterator[tuple[float, Message]]:
    rng = random.Random(1000 * scale.seed + number)
    content_type, container, subtype = _CODECS[number % len(_CODECS)]
    rate = rng.choice(_RATES)
    frames = np.roll(_piece(scale.seconds, rate), number * _STEP)  # no two streams are alike
    start = 0
    while start < len(frames):
        end = start + round(rng.uniform(*_CHUNK_SECONDS) * rate)
        data = _encode(frames[start:end], rate, container, subtype)
        headers = [("content-type", content_type.format(rate=rate).encode())]
        if end >= len(frames):
            headers.append(("final", b"true"))
        yield end / rate, Message(data, name.encode(), headers)
        start = end


@cache
def _piece(seconds: float, rate: int) -> Frames:
    return music(seconds, rate, seed=rate)


def _encode(frames: Frames, rate: int, container: str | None, subtype: str | None) -> bytes:
    if container is None:
        return integers(frames).astype("<i2").tobytes()
    return encode(frames, rate, container, subtype)
