"""What a stream keeps in memory: exact, small, and bounded."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features import Samples, decode
from schemas.errors import InvalidSamples
from services.extractor import stream
from services.extractor.chain import Chain
from services.extractor.pending import Packed, Pending, pack, unpack
from services.extractor.state import Recipe, StreamState
from services.extractor.stream import ExtractorStep, advance
from tests.audio import integers, noise
from tests.extractor.streams import CHEAP, END, RECIPE, chunk, record, run, vectors

floats = st.floats(-64, 64, width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-16, 1e-40])


@given(st.lists(st.lists(floats, min_size=1, max_size=9), max_size=70))
def test_any_samples_come_back_bit_for_bit(pieces: list[list[float]]) -> None:
    pending = Pending()
    for piece in pieces:
        pending = pending.append(np.array(piece, np.float32))
    wanted = np.array([x for piece in pieces for x in piece], np.float32)
    found = np.concatenate([np.empty(0, np.float32), *pending.unpacked()])
    assert found.tobytes() == wanted.tobytes()
    assert pending.samples == len(wanted)
    assert len(pending.pieces) <= 33


@pytest.mark.parametrize(("channels", "bytes_a_sample"), [(1, 2.0), (2, 2.125)])
def test_16_bits_are_kept_in_about_16_bits(channels: int, bytes_a_sample: float) -> None:
    message = chunk(integers(noise(3.0, 44_100, channels)), 44_100)
    samples = decode(message.data).samples
    packed = pack(samples)
    assert isinstance(packed, Packed)
    low = 0 if packed.low is None else packed.low.nbytes
    assert packed.high.nbytes + low == pytest.approx(bytes_a_sample * len(samples), abs=1)


def test_a_view_is_copied() -> None:
    whole = np.full(100_000, 0.1, np.float32)
    kept = pack(whole[:10])
    assert isinstance(kept, np.ndarray)
    assert kept.base is None
    assert np.array_equal(unpack(kept), whole[:10])


@given(st.lists(st.integers(), max_size=600), st.integers(0, 600))
def test_a_chain_is_a_value(items: list[int], cut: int) -> None:
    chain: Chain[int] = Chain()
    older = chain
    for number, item in enumerate(items):
        older = chain if number == cut else older
        chain = chain.append(item)
    assert list(chain) == items
    assert len(chain) == len(items)
    assert list(older) == (items[:cut] if cut < len(items) else [])


def one_sample_chunks(samples: NDArray[np.int16], rate: int) -> list[ExtractorStep]:
    steps: list[ExtractorStep] = []
    state: StreamState | None = None
    for offset, sample in enumerate(samples):
        steps += advance(state, record(offset, chunk(np.array([sample]), rate, "pcm")), RECIPE)
        state = steps[-1].state
    return [*steps, *advance(state, record(len(samples), END), RECIPE)]


def test_chunks_of_one_sample_cost_linear_time() -> None:
    """By the ratio of two sizes, for machines differ: 16 times the chunks, not 256 times."""
    samples = integers(noise(2.0, 8_000))
    one_sample_chunks(samples[:100], 8_000)
    seconds = []
    for count in (500, 8_000):
        start = time.process_time()
        steps = one_sample_chunks(samples[:count], 8_000)
        seconds.append(time.process_time() - start)
    assert vectors(steps)[0].end_seconds == 1.0
    assert seconds[1] < 16 * 4 * seconds[0]


def test_a_window_has_a_limit_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_HELD", 3)
    steps = run([chunk(integers(noise(0.3, 8_000)), 8_000, "pcm") for _ in range(5)] + [END])
    letters = [letter for step in steps for letter in step.dead_letters]
    assert [
        letter.record.place.offset for letter in letters if letter.error.code != "audio-too-short"
    ] == [3, 4]
    assert "the window under way has 3 chunks, the limit, and is not complete: send longer" in str(
        letters[0].error
    )
    assert sorted(offset for step in steps for offset in step.released) == list(range(6))


def test_the_messages_of_the_first_second_have_a_limit_of_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = chunk(integers(noise(0.3, 8_000)), 8_000)
    limit = 3 * len(small.data) - 1  # the headers count, too
    monkeypatch.setattr(stream, "MAX_OPENING_BYTES", limit)
    steps = run([small, small, small, small, END])
    letters = [letter for step in steps for letter in step.dead_letters]
    assert [(letter.record.place.offset, letter.error.code) for letter in letters] == [
        (2, "window-overflow"),
        (3, "window-overflow"),
        (0, "audio-too-short"),
        (1, "audio-too-short"),
    ]
    assert f"at most {limit} bytes are kept for the first 1 s" in str(letters[0].error)
    large = chunk(integers(noise(1.2, 8_000)), 8_000)
    assert vectors(run([large, END])), "a message of any size is taken if it is enough"


def test_a_window_without_features_at_an_idle_end_is_a_dead_letter() -> None:
    def fail(_: Samples) -> Samples:
        raise InvalidSamples("no features in this")

    recipe = Recipe((replace(CHEAP, compute=fail),))
    state = run([chunk(integers(noise(1.2, 8_000)), 8_000)], recipe)[-1].state
    assert state
    end = stream.close(state, recipe)[-1]
    (letter,) = end.dead_letters
    assert (letter.record.place.offset, letter.record.key) == (0, b"radio-1")
    assert str(letter.error) == "no features in this"
    assert (end.events, end.released) == ((), (0,))
