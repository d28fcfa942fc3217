"""Messages that no producer should send: random bytes, mutated audio, mutated JSON."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import msgspec
import numpy as np

from features import feature_set
from schemas import FeatureVector, Place, encode_event
from tests.audio import encode, integers, music
from tests.broker.harness import Message

#: Streams that messages with a key belong to, good ones and bad ones mixed.
KEYS = 64
_RATE = 8_000
_SECONDS = (0.3, 1.2)
_KEPT_HEADER = 64
_CONTENT_TYPES = (
    "audio/wav",
    "audio/flac",
    "audio/mpeg",
    "audio/ogg",
    "audio/pcm;rate=8000;channels=1;encoding=s16le",
    "audio/pcm;rate=8000;channels=2;encoding=f32le",
    "audio/pcm;rate=-1;channels=0",
    "audio/L16;rate=8000",
    "audio/L16;rate=99999999",
    "application/octet-stream",
    "text/html; charset=\x00",
    "",
)
_NUMBERS = (
    b"-1",
    b"0",
    b"1e308",
    b"1e400",
    b"-0.0",
    b"NaN",
    b"Infinity",
    b"9" * 40,
    b"null",
    b"true",
    b'"x"',
    b"[]",
    b"{}",
    b"[" * 2000,
)


#: Values that no field should have.
_EXTREMES: Final[tuple[object, ...]] = (
    *(None, True, "", "é" * 3000, [], {}),
    *(-1, 0, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 10**30),
    *(1e-320, 1e12, 1e308, -1e308),
)
#: Vectors name one of so many first chunks of a partition, or none.
MOST_ORIGINS: Final = 5


@dataclass(frozen=True)
class Fuzzer:
    """Makes messages from a seed; the same seed gives the same messages.

    Attributes
    ----------
    seed
        Of all choices.
    """

    seed: int

    def messages(self, count: int) -> Iterator[Message]:
        """Make so many messages, for both input topics."""
        rng = random.Random(self.seed)
        kinds: tuple[tuple[Callable[[random.Random], Message], int], ...] = (
            (_random_bytes, 20),
            (_mutated_audio, 38),
            (_good_audio, 2),
            (_raw_pcm, 8),
            (_mutated_json, 24),
            (_random_json, 8),
        )
        makers, weights = zip(*kinds, strict=True)
        for maker in rng.choices(makers, weights, k=count):
            yield maker(rng)


def endings() -> Iterator[Message]:
    """End the streams of all keys, so that every message must be answered."""
    for key in {b"\x00", *map(_name, range(KEYS)), *_odd_keys()}:
        yield Message(b"", key, [("final", b"true")])


def _name(number: int) -> bytes:
    return f"fuzz-{number}".encode()


def _key(rng: random.Random) -> bytes | None:
    """Choose a key: mostly one of the streams, at times none, or none that is text."""
    choice = rng.random()
    if choice < 0.6:
        return _name(rng.randrange(KEYS))
    if choice < 0.9:
        return None
    if choice < 0.95:
        return rng.choice((b"", b"\xff" + rng.randbytes(4), b"\x00", b"k" * 2000))
    return rng.choice(_odd_keys())


@cache
def _odd_keys() -> list[bytes]:
    return [_unicode(random.Random(number)) for number in range(KEYS)]


def _unicode(rng: random.Random) -> bytes:
    """Make a text of any planes of Unicode, control characters and lone surrogates among them."""
    reach = rng.choice((0x20, 0x7F, 0x2FF, 0x20FF, 0xFFFF, 0x10FFFF))
    text = "".join(chr(rng.randint(0, reach)) for _ in range(rng.randint(1, 40)))
    return text.encode(errors=rng.choice(("replace", "surrogatepass")))


def _headers(rng: random.Random) -> list[tuple[str, bytes]]:
    headers: list[tuple[str, bytes]] = []
    if rng.random() < 0.3:
        headers.append(("content-type", rng.choice(_CONTENT_TYPES).encode()))
    if rng.random() < 0.2:
        headers.append(("final", rng.choice((b"true", b"false", b"maybe", b"\xff", b""))))
    if rng.random() < 0.1:
        headers.append((rng.choice(("sequence", "traceparent", "x")), rng.randbytes(6)))
    if rng.random() < 0.05:
        headers.append(("sequence", str(rng.choice((0, 1, 7, -1, 2**63))).encode()))
    if rng.random() < 0.02:
        headers += _odd_headers(rng)
    return headers


def _odd_headers(rng: random.Random) -> list[tuple[str, bytes]]:
    """Make headers that are long, many, or of any text."""
    name = rng.choice(("traceparent", "captured-at", "content-type", "x", "é" * 300, ""))
    size = rng.choice((0, 55, 1000, 50_000))
    value = rng.choice((b"9", b"\x1b", _unicode(rng)))[:4]
    return [(name, (value * size)[:size])] * rng.choice((1, 1, 3, 200 if size < 100 else 1))


def _random_bytes(rng: random.Random) -> Message:
    size = rng.choice((0, 1, 3, 17, 100, 1000, 3000))
    start = rng.choice((b"", b"", b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"FORM"))
    return Message((start + rng.randbytes(size))[: size + 4], _key(rng), _headers(rng))


@cache
def _samples(container: str, subtype: str, seconds: float) -> bytes:
    frames = music(seconds, _RATE, seed=1)
    if subtype == "FLOAT":
        return encode(frames, _RATE, container, subtype)
    return encode(integers(frames), _RATE, container, subtype)


_KINDS = (
    ("WAV", "PCM_16"),
    ("WAV", "PCM_U8"),
    ("WAV", "FLOAT"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
)


def _good_audio(rng: random.Random) -> Message:
    return Message(_samples(*rng.choice(_KINDS), rng.choice(_SECONDS)), _key(rng), _headers(rng))


def _mutated_audio(rng: random.Random) -> Message:
    data = bytearray(_samples(*rng.choice(_KINDS), rng.choice(_SECONDS)))
    reach = _KEPT_HEADER if rng.random() < 0.7 else len(data)
    for _ in range(rng.randint(1, 8)):
        _mutate(rng, data, reach)
    return Message(bytes(data), _key(rng), _headers(rng))


def _mutate(rng: random.Random, data: bytearray, reach: int) -> None:
    """Change one thing among the first so many bytes."""
    at = rng.randrange(max(1, min(reach, len(data))))
    choice = rng.randrange(5)
    if choice == 0:
        data[at : at + 1] = rng.randbytes(1)
    elif choice == 1:
        data[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
    elif choice == 2:
        del data[at : at + rng.randint(1, 64)]
    elif choice == 3:
        data[at:at] = rng.randbytes(rng.randint(1, 64))
    else:
        del data[rng.randrange(len(data) + 1) :]


def _raw_pcm(rng: random.Random) -> Message:
    content_type = rng.choice(_CONTENT_TYPES[4:9])
    headers = [*_headers(rng), ("content-type", content_type.encode())]
    size = rng.choice((0, 1, 2, 3, 4, 800, 801, 6000))
    return Message(rng.randbytes(size), _key(rng), headers)


@cache
def _vector() -> bytes:
    values = np.random.default_rng(0).standard_normal(len(feature_set("librosa-52").names))
    event = FeatureVector(
        event_id="audio.chunks/0/0/librosa-52/0",
        stream_id="fuzz",
        origin=Place("audio.chunks", 0, 0),
        feature_set="librosa-52",  # that of the model in `load`
        window_index=0,
        start_seconds=0.0,
        end_seconds=3.0,
        level_dbfs=-20.0,
        values=tuple(values.tolist()),
    )
    return encode_event(event)


def _mutated_json(rng: random.Random) -> Message:
    document = msgspec.json.decode(_vector(), type=dict[str, object])
    document["window_index"] = rng.choice((0, 1, 2, 7))
    document["origin"] = {
        "topic": "audio.chunks",
        "partition": 0,
        "offset": rng.randrange(MOST_ORIGINS),
    }
    document["final"] = rng.random() < 0.2
    fields = list(document)
    for _ in range(rng.randint(1, 3)):
        field = rng.choice(fields)
        if rng.random() < 0.3:
            document.pop(field, None)
        elif rng.random() < 0.5:
            document[field] = rng.choice(_EXTREMES)
    if rng.random() < 0.2:
        place = {"topic": "audio.chunks", "partition": 0, "offset": 0}
        document["origin"] = place | {rng.choice(list(place)): rng.choice(_EXTREMES)}
    if rng.random() < 0.5:  # a vector with the key of its stream is believed
        stream_id = _unicode(rng).decode(errors="replace")
        document["stream_id"] = stream_id
        return Message(msgspec.json.encode(document), stream_id.encode(), [], "audio.features")
    data = msgspec.json.encode(document)
    if rng.random() < 0.5:
        data = _mutated_text(rng, data)
    return Message(data, _key(rng), _headers(rng), topic="audio.features")


def _mutated_text(rng: random.Random, data: bytes) -> bytes:
    """Replace a number, or change bytes."""
    if rng.random() < 0.5 and b":0," in data:
        return data.replace(b":0,", b":" + rng.choice(_NUMBERS) + b",", 1)
    changed = bytearray(data)
    _mutate(rng, changed, len(changed))
    return bytes(changed)


def _random_json(rng: random.Random) -> Message:
    data = rng.choice((b"", b"{", b"[]", b"null", b"\xef\xbb\xbf{}", b"[" * 100_0, b'{"a":' * 500))
    if rng.random() < 0.5:
        data = rng.randbytes(rng.randrange(300))
    return Message(data, _key(rng), _headers(rng), topic="audio.features")
