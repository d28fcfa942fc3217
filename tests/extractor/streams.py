"""Messages, and a cheap recipe to process them by."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features import FeatureSet, Samples
from schemas import AudioChunk, FeatureVector, Headers, Place, encode_chunk_headers
from services.extractor.state import Recipe, StreamState
from services.extractor.stream import ExtractorStep, advance
from services.processing.records import Record
from tests.audio import Integers, encode

Codec = Literal["pcm", "wav", "flac"]
CODECS: tuple[Codec, ...] = ("pcm", "wav", "flac")


def _ends(y: Samples) -> NDArray[np.float32]:
    return np.array([y.mean(), y[0], y[-1]], np.float32)


CHEAP = FeatureSet("cheap", 8_000, 1.5, ("mean", "first", "last"), compute=_ends)
RECIPE = Recipe((CHEAP,), idle_timeout_seconds=10.0)
#: Windows one behind the other, and apart.
RECIPES = (RECIPE, replace(RECIPE, hop_seconds=1.9))


def chunk(
    frames: Integers, sample_rate: int, codec: Codec = "wav", *, final: bool = False
) -> AudioChunk:
    """Encode frames [shape=(n,) or (n, channels)]; no codec changes a sample."""
    channels = 1 if frames.ndim == 1 else frames.shape[1]
    if codec == "pcm":
        content_type = f"audio/pcm;rate={sample_rate};channels={channels};encoding=s16le"
        return AudioChunk(frames.astype("<i2").tobytes(), content_type=content_type, final=final)
    data = encode(frames, sample_rate, codec.upper())
    return AudioChunk(data, content_type=f"audio/{codec}", final=final)


END = AudioChunk(b"", final=True)


def record(
    offset: int,
    message: AudioChunk,
    *,
    key: bytes | None = b"radio-1",
    timestamp_ms: int = 0,
    headers: Headers | None = None,
) -> Record:
    """Put a message at a place in the log."""
    if headers is None:
        headers = encode_chunk_headers(message)
    return Record(Place("audio.chunks", 0, offset), timestamp_ms, key, message.data, headers)


def run(messages: Iterable[AudioChunk], recipe: Recipe = RECIPE) -> list[ExtractorStep]:
    """Process the messages of one stream in order."""
    state: StreamState | None = None
    steps: list[ExtractorStep] = []
    for offset, message in enumerate(messages):
        steps += advance(state, record(offset, message), recipe)
        state = steps[-1].state
    return steps


def vectors(steps: Sequence[ExtractorStep]) -> list[FeatureVector]:
    """Return all events of some steps."""
    return [event for step in steps for event in step.events]
