"""Single messages that cost more than they should."""

import io

import numpy as np
import pytest
import soundfile

from services.processing.late import MAX_MESSAGES
from tests.abuse.beside import Beside, Workers, run
from tests.broker.harness import Message, encoded

pytestmark = [pytest.mark.broker, pytest.mark.abuse, pytest.mark.timeout(300)]

#: What Kafka's own limit of a topic lets pass, beside a message of 110 bytes.
_TRACEPARENT_BYTES = 5_307_900
#: In a row: one of a quarter of an hour takes 3 s alone on a free processor.
_LONG = 8
#: A minute each, in a row: one takes 0.2 s on a free processor.
_MINUTES = 80


def _silence(seconds: int, rate: int, channels: int, container: str, subtype: str) -> bytes:
    """Encode silence, second by second."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate, channels, format=container, subtype=subtype
    ) as file:
        for _ in range(seconds):
            file.write(np.zeros((rate, channels), "f4"))
    return buffer.getvalue()


def _each(messages: list[Message]) -> list[Message]:
    """Put one in each partition, in turn."""
    return [
        Message(m.value, m.key, m.headers, m.topic, partition=n % 2, timestamp_ms=m.timestamp_ms)
        for n, m in enumerate(messages)
    ]


def test_a_flac_with_a_traceparent_of_5_mb(workers: Workers) -> None:
    """A message that is refused, and one that is heard: what comes of it does not carry the text.

    With it, events were larger than their topic takes.
    """

    async def case(beside: Beside) -> None:
        traced = [("traceparent", b"\xee\x80\x80" * (_TRACEPARENT_BYTES // 3)), ("final", b"true")]
        short, heard = (encoded(np.zeros(n, "f4"), container="FLAC") for n in (4096, 25_000))
        assert len(heard) < 200
        await beside.send(
            _each([Message(heard, b"heard-0", traced), Message(heard, b"heard-1", traced)])
        )
        places = await beside.send(_each([Message(short, b"short", traced)] * 2))
        await beside.until(
            lambda: beside.answered(places) and all(map(beside.is_over, ("heard-0", "heard-1")))
        )

    run(workers, "traceparent", case)


def _in_a_row(workers: Workers, messages: list[Message], good: tuple[int, ...] = (0, 1)) -> None:
    """Send streams of one message each while good ones play in these partitions."""
    keys = [message.key.decode() for message in messages if message.key]
    assert len(keys) == len(messages)

    async def case(beside: Beside) -> None:
        await beside.send(messages)
        await beside.until(lambda: all(map(beside.is_over, keys)), 240.0)

    run(workers, keys[0], case, good)


def _streams(name: str, data: bytes, count: int) -> list[Message]:
    ends = [("final", b"true")]
    return [Message(data, f"{name}-{n}".encode(), ends, partition=0) for n in range(count)]


def test_ogg_of_93_kb_that_hold_a_quarter_of_an_hour(workers: Workers) -> None:
    """Not even the good stream of the same partition waits for them."""
    data = _silence(899, 48_000, 2, "OGG", "VORBIS")
    assert len(data) < 100_000
    _in_a_row(workers, _each(_streams("ogg", data, _LONG)))


def test_flac_that_hold_a_quarter_of_an_hour(workers: Workers) -> None:
    data = _silence(899, 48_000, 2, "FLAC", "PCM_16")
    _in_a_row(workers, _each(_streams("flac", data, _LONG)))


def test_more_of_them_than_a_partition_may_have(workers: Workers) -> None:
    data = _silence(299, 48_000, 2, "OGG", "VORBIS")
    _in_a_row(workers, _streams("many", data, 2 * MAX_MESSAGES), good=(1,))


def test_ogg_that_hold_a_minute(workers: Workers) -> None:
    data = _silence(59, 48_000, 2, "OGG", "VORBIS")
    _in_a_row(workers, _streams("minute", data, _MINUTES), good=(1,))


def test_many_streams_of_a_window_that_is_not_complete(workers: Workers) -> None:
    """250 of 2.9 s at 384 kHz, whose noise cannot be packed: 4.5 MB each, 1.1 GB together."""

    async def case(beside: Beside) -> None:
        noise = np.random.default_rng(0).normal(0, 0.1, round(2.9 * 384_000)).astype("f4")
        data = encoded(noise, 384_000, "WAV", "PCM_24")
        messages = _each([Message(data, f"wide-{n}".encode()) for n in range(250)])
        for start in range(0, len(messages), 10):
            await beside.send(messages[start : start + 10])
        keys = {f"wide-{n}" for n in range(250)}
        await beside.until(
            lambda: all(beside.is_over(key) or beside.is_refused(key) for key in keys), 120.0
        )

    run(workers, "wide", case)


def test_headers_of_all_sizes(workers: Workers) -> None:
    async def case(beside: Beside) -> None:
        many = [(f"h{n}", b"x") for n in range(100_000)]
        wide = [("n" * 1_000_000, b""), ("sequence", b"9" * 1_000_000)]
        text = [("content-type", b"\x1b]0;" + b"a" * 1_000_000), ("captured-at", b"9" * 1_000_000)]
        bad = [
            Message(b"junk", key, headers)
            for key, headers in (
                (b"many", many),
                (b"wide", wide),
                (b"text", text),
                (b"k" * 1_000_000, []),
                ("\U0010ffff\u202e\x00\x1b[2J".encode() * 100, []),
                (b"\xff\xfe", []),
                (b"", []),
            )
        ]
        places = await beside.send(_each(bad))
        await beside.until(lambda: beside.answered(places))

    run(workers, "headers", case)
