"""Whatever comes in, every message gets an answer or one dead letter, and no worker dies."""

import asyncio
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from features import feature_set
from schemas import FeatureVector, Place, encode_event, header
from services.kafka.topics import Topics
from services.settings import Settings
from tests.abuse import batches as bombs
from tests.abuse.batches import Many
from tests.broker.harness import (
    SAMPLE_RATE,
    Collected,
    Message,
    encoded,
    music,
    pcm_stream,
    run,
)
from tests.kafka.test_aiokafka_fixes import BadName

pytestmark = pytest.mark.broker

TRACK = music(4.0)
FLAC = encoded(TRACK, container="FLAC")
WAV = encoded(TRACK)


def _claim_4_gb(wav: bytes) -> bytes:
    at = wav.index(b"data") + 4
    huge = struct.pack("<I", 0xFFFFFFF0)
    return wav[:4] + huge + wav[8:at] + huge + wav[at + 4 :]


def _with_rate(wav: bytes, rate: int) -> bytes:
    return wav[:24] + struct.pack("<I", rate) + wav[28:]


def _with_sample(value: float) -> bytes:
    samples = TRACK.copy()
    samples[1000] = value
    return encoded(samples, subtype="FLOAT")


def _six_channels() -> bytes:
    return encoded(np.stack([TRACK] * 6, axis=1))


LABELLED = "a label"
#: What is sent in one message, and what must come: a label, or the code of the dead letter.
CASES: dict[str, tuple[bytes | None, str]] = {
    "empty": (b"", "invalid-message"),
    "null": (None, "invalid-message"),
    "1 MB of random bytes": (random.Random(1).randbytes(1_000_000), "unsupported-audio"),
    "truncated FLAC": (FLAC[: len(FLAC) // 2], LABELLED),
    "WAV that claims 4 GB": (_claim_4_gb(WAV), LABELLED),
    "WAV of 0 Hz": (_with_rate(WAV, 0), "corrupt-audio"),
    "NaN": (_with_sample(np.nan), "invalid-samples"),
    "infinity": (_with_sample(-np.inf), "invalid-samples"),
    "24-bit WAV": (encoded(TRACK, subtype="PCM_24"), LABELLED),
    "8-bit WAV": (encoded(TRACK, subtype="PCM_U8"), LABELLED),
    "8 kHz": (encoded(music(4.0, 8_000), 8_000), LABELLED),
    "192 kHz": (encoded(music(4.0, 192_000), 192_000), LABELLED),
    "6 channels": (_six_channels(), LABELLED),
    "0.1 s": (encoded(TRACK[: SAMPLE_RATE // 10]), "audio-too-short"),
    "silence": (encoded(np.zeros(4 * SAMPLE_RATE, np.float32)), "silence"),
}


def _stream(name: str, value: bytes | None) -> Message:
    return Message(value, name.encode(), [("final", b"true")])


def _answered(names: Any, count: int = 1) -> Callable[[Collected], bool]:
    def done(collected: Collected) -> bool:
        return all(
            collected.final(name) or len(collected.reasons(name.encode())) >= count
            for name in names
        )

    return done


def _check(collected: Collected, name: str, value: bytes | None, expected: str) -> None:
    key, final = name.encode(), collected.final(name)
    if expected in (LABELLED, "silence"):
        assert final is not None, f"no final prediction; dead letters {collected.reasons(key)}"
        assert collected.reasons(key) == []
        if expected == "silence":
            assert (final.label, final.probabilities, final.windows) == ("silence", {}, 0)
        else:
            assert sum(final.probabilities.values()) == pytest.approx(1.0)
            assert final.windows == (1 if name.endswith("truncated FLAC") else 2)
        return
    assert final is None
    assert collected.reasons(key) == [expected]
    letter = collected.dead_letters[key][0]
    assert (letter.value or b"") == (value or b"")
    assert header(letter.headers, "dead_letter_service") == "extractor"
    assert (header(letter.headers, "dead_letter_topic") or "").endswith("audio.chunks")
    assert len(header(letter.headers, "dead_letter_message") or "") > 20


def test_every_case_alone_is_answered_or_dead_lettered(system: Settings) -> None:
    names = {f"alone {case}": case for case in CASES}
    messages = [_stream(name, CASES[case][0]) for name, case in names.items()]
    collected = run(system, messages, _answered(names))
    for name, case in names.items():
        _check(collected, name, *CASES[case])


def test_bad_messages_do_not_disturb_the_streams_around_them(system: Settings) -> None:
    good = {f"good {i}": music(30.0, seed=i) for i in range(4)}
    streams = [pcm_stream(name, samples, SAMPLE_RATE) for name, samples in good.items()]
    names = {f"mixed {case}": case for case in CASES}
    bad = [_stream(name, CASES[case][0]) for name, case in names.items()]
    interleaved = [m for group in zip(*streams, strict=True) for m in group]
    messages = []
    for number, message in enumerate(interleaved):
        messages.append(message)
        if number % 8 == 0 and bad:
            messages.append(bad.pop())
    assert not bad
    collected = run(system, messages, _answered([*good, *names]))
    for name in good:
        windows = [p.window_index for p in collected.predictions[name]]
        assert windows == list(range(10))
        assert collected.predictions[name][-1].final
    for name, case in names.items():
        _check(collected, name, *CASES[case])


def test_a_bad_chunk_in_a_stream_is_left_out_and_the_stream_goes_on(system: Settings) -> None:
    messages = pcm_stream("holed", music(6.0), SAMPLE_RATE)
    messages.insert(2, Message(b"no audio at all", b"holed"))
    collected = run(system, messages, lambda c: bool(c.final("holed") and c.reasons(b"holed")))
    assert [p.window_index for p in collected.predictions["holed"]] == [0, 1]
    assert collected.reasons(b"holed") == ["unsupported-audio"]


def test_a_header_name_that_is_no_text_stops_nothing(system: Settings) -> None:
    """Aiokafka refuses to read such a batch, so the worker would fail at each start."""
    content = [("content-type", b"audio/wav"), ("final", b"true"), (BadName(), b"x")]

    async def send_batch() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=system.brokers)
        await producer.start()
        try:
            batch = producer.create_batch()
            batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, -1, 1 << 20)
            assert batch.append(timestamp=1000, key=b"odd", value=WAV, headers=content)
            batch.close()
            topic = f"{system.topic_prefix}audio.chunks"
            await (await producer.send_batch(batch, topic, partition=0))
        finally:
            await producer.stop()

    asyncio.run(send_batch())
    after = [replace(m, partition=0) for m in pcm_stream("after odd", TRACK, SAMPLE_RATE)]
    collected = run(
        system,
        after,
        lambda c: bool(c.final("odd") and c.final("after odd")),
        from_beginning=True,
    )
    assert collected.final("odd")
    assert collected.final("after odd")


def test_a_stream_too_short_for_a_window_is_dead_lettered_whole(system: Settings) -> None:
    messages = pcm_stream("short", music(0.5), SAMPLE_RATE // 10)
    collected = run(system, messages, lambda c: len(c.reasons(b"short")) >= len(messages))
    assert collected.reasons(b"short") == ["audio-too-short"] * len(messages)
    assert [letter.value for letter in collected.dead_letters[b"short"]] == [
        message.value for message in messages
    ]


def test_vectors_that_do_not_fit_are_dead_lettered_by_the_classifier(system: Settings) -> None:
    good = pcm_stream("between vectors", music(3.0), SAMPLE_RATE)
    vector = (
        b'{"schema_version":"1.0","event_id":"x","stream_id":"s","origin":{"topic":"t",'
        b'"partition":0,"offset":0},"feature_set":"musicnn-200-int8","window_index":0,'
        b'"start_seconds":0,"end_seconds":3,"level_dbfs":-20,"values":[%s],"final":true}'
    )
    features = {
        b"other schema": b'{"schema_version":"1.0","temperature":21.5}',
        b"no json": b"\xff\xfe\x00",
        b"empty value": b"",
        b"other version": (vector % b"1").replace(b'"1.0"', b'"2.0"'),
        b"too narrow": vector % b"1,2,3",
        b"beyond float32": vector % b",".join([b"1e300"] * 200),
    }
    messages = [Message(v, key, topic="audio.features") for key, v in features.items()]
    collected = run(
        system,
        [*messages, *good],
        lambda c: bool(c.final("between vectors")) and all(c.reasons(key) for key in features),
    )
    assert collected.final("between vectors")
    for key, value in features.items():
        assert collected.reasons(key) == ["invalid-message"], key
        letter = collected.dead_letters[key][0]
        assert (letter.value or b"") == value
        assert header(letter.headers, "dead_letter_service") == "classifier"


def test_a_forged_origin_silences_no_stream(system: Settings) -> None:
    """Whoever may write feature vectors, names a chunk that nobody has sent."""
    chunks, good = Topics(system.topic_prefix).chunks, "not silenced"
    width = len(feature_set("musicnn-200-int8").names)
    forged = [
        FeatureVector(
            event_id=f"forged {n}",
            stream_id=good,
            origin=origin,
            feature_set="musicnn-200-int8",
            window_index=0,
            start_seconds=0.0,
            end_seconds=3.0,
            level_dbfs=-20.0,
            values=(0.5,) * width,
        )
        for n, origin in enumerate((Place(chunks, 0, 10**6), Place("payroll", 0, 0)))
    ]
    vectors = [Message(encode_event(v), good.encode(), topic="audio.features") for v in forged]
    collected = run(
        system,
        [*vectors, *pcm_stream(good, music(7.0), SAMPLE_RATE)],
        lambda c: bool(c.final(good)) and len(c.reasons(good.encode())) == len(forged),
    )
    assert collected.reasons(good.encode()) == ["invalid-message"] * len(forged)
    assert [p.window_index for p in collected.predictions[good]] == [0, 1, 2]


def test_what_costs_more_than_it_should_stops_nothing(system: Settings) -> None:
    """The short form of ``make test-abuse``: a bomb, and headers as large as a broker allows."""
    bomb = bombs.batch(Many(1, 1 << 28, b"bomb"), "zstd", timestamp_ms=1000)

    async def send_bomb() -> None:
        async with AIOKafkaProducer(bootstrap_servers=system.brokers) as producer:
            for topic in ("audio.chunks", "audio.features"):
                await bombs.send_batch(producer, system.topic_prefix + topic, 0, bomb, 1)

    traced = [("traceparent", b"\xee\x80\x80" * 1_700_000)]
    named = [(f"h{number}", b"") for number in range(20_000)]
    costly = [Message(b"junk", b"costly", headers, partition=0) for headers in (traced, named)]
    after = [replace(m, partition=0) for m in pcm_stream("after bombs", TRACK, SAMPLE_RATE)]
    asyncio.run(send_bomb())
    collected = run(
        system,
        [*costly, *after],
        lambda c: bool(
            c.final("after bombs") and len(c.reasons(b"costly")) >= 2 and len(c.reasons(None)) >= 2
        ),
        from_beginning=True,
    )
    assert collected.final("after bombs")
    assert collected.reasons(b"costly") == ["unsupported-audio"] * 2
    assert collected.reasons(None).count("message-too-large") == 2
