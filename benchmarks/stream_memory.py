"""Memory of live streams in the extractor's core: ``python -m benchmarks.stream_memory``.

Many streams in one process, each with a window that is almost complete, which is the most that a
stream keeps, and then half of one. No broker: what faust and aiokafka keep of a message is not in
it.
"""

import argparse
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from features import FeatureSet, Samples
from schemas import AudioChunk, Place, encode_chunk_headers
from services.extractor.state import Recipe, StreamState
from services.extractor.stream import advance
from services.processing.records import Record

_INPUTS: Final = ((22_050, 1), (44_100, 1), (44_100, 2), (48_000, 2))
_CHUNKS: Final = 12


def _no_features(_: Samples) -> Samples:
    return np.zeros(1, np.float32)


RECIPE: Final = Recipe((FeatureSet("none", 22_050, 3.0, ("zero",), compute=_no_features),))


def resident_bytes() -> int:
    """Return the resident set of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise OSError("no VmRSS in /proc/self/status")


def fill(streams: int, rate: int, channels: int, chunks: int) -> list[StreamState]:
    """Return the states of streams that took in some chunks of a quarter of a second."""
    random = np.random.default_rng(0)
    content_type = f"audio/pcm;rate={rate};channels={channels};encoding=s16le"
    states = []
    for number in range(streams):
        state: StreamState | None = None
        for index in range(chunks):
            data = random.bytes(rate // 4 * channels * 2)
            chunk = AudioChunk(data, f"stream-{number}", content_type)
            place = Place("audio.chunks", 0, number * chunks + index)
            headers = encode_chunk_headers(chunk)
            record = Record(place, 0, b"stream-%d" % number, data, headers)
            state = advance(state, record, RECIPE)[-1].state
        assert state is not None
        states.append(state)
    return states


def grow(streams: int, rate: int, channels: int, chunks: int) -> int:
    """Return by how many bytes a process grows with these streams."""
    fill(10, rate, channels, chunks)
    before = resident_bytes()
    states = fill(streams, rate, channels, chunks)
    after = resident_bytes()
    assert len(states) == streams
    return after - before


def main(arguments: list[str] | None = None) -> int:
    """Print kilobytes a stream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    streams = parser.parse_args(arguments).streams
    sys.stdout.write(f"{streams} streams, kB of RSS each, 3 s windows, 16-bit PCM\n")
    sys.stdout.write(f"{'rate':>8} {'channels':>8} {'2.75 s wait':>12} {'1.5 s wait':>11}\n")
    with get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:  # what was freed counts, too
        for rate, channels in _INPUTS:
            most, half = (
                fresh.apply(grow, (streams, rate, channels, chunks)) / streams / 1000
                for chunks in (_CHUNKS - 1, _CHUNKS // 2)
            )
            sys.stdout.write(f"{rate:>8} {channels:>8} {most:>12.0f} {half:>11.0f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
