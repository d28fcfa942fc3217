"""Audio as users send it, through real workers."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from features import Audio, decode, feature_set, split
from schemas import Place, encode_event
from services.classifier.classifier import Classifier
from services.classifier.model import load_model
from services.console.stack import start_worker, worker_environment
from services.extractor.vectors import feature_vectors
from services.kafka.clients import TopicReader
from services.kafka.topics import Topics
from services.settings import Settings
from tests.broker.harness import (
    SAMPLE_RATE,
    Collected,
    Message,
    encoded,
    fresh_settings,
    music,
    pcm_stream,
    run,
    running_workers,
    send,
)

pytestmark = pytest.mark.broker


def test_a_wav_without_key_and_headers_is_a_stream_of_its_own(system: Settings) -> None:
    keyless = f"{system.topic_prefix}audio.chunks-"
    collected = run(
        system,
        [Message(encoded(music(30.0)))],
        lambda c: any(c.final(name) for name in c.predictions if name.startswith(keyless)),
    )
    (stream_id,) = (name for name in collected.predictions if name.startswith(keyless))
    predictions = collected.predictions[stream_id]
    assert [p.window_index for p in predictions] == list(range(10))
    assert [p.final for p in predictions] == [False] * 9 + [True]


def test_quarter_second_pcm_chunks_give_the_same_answer_as_the_whole(system: Settings) -> None:
    samples = music(30.0, seed=3)
    collected = run(
        system,
        pcm_stream("quarters", samples, SAMPLE_RATE // 4),
        lambda c: bool(c.final("quarters")),
    )
    final = collected.final("quarters")
    assert final
    assert final.windows == 10
    data = b"".join(m.value or b"" for m in pcm_stream("", samples, len(samples)))
    audio = decode(data, "audio/pcm;rate=22050;channels=1;encoding=s16le")
    assert final.probabilities == pytest.approx(_offline(system, audio), abs=1e-12)


def _offline(settings: Settings, audio: Audio) -> dict[str, float]:
    classifier = Classifier(load_model(settings.model_path))
    recipe = feature_set(classifier.model.metadata.feature_set)
    score = None
    probabilities: dict[str, float] = {}
    for window in split(audio, recipe.window_seconds):
        (row,) = feature_vectors(
            "offline", Place("t", 0, 0), window, [recipe], settings.wants_content([recipe.name])
        )
        score, prediction = classifier.classify(score, row)
        probabilities = prediction.probabilities
    return probabilities


def test_an_empty_final_message_ends_a_stream(system: Settings) -> None:
    messages = pcm_stream("marker", music(3.5), SAMPLE_RATE)
    messages[-1] = Message(messages[-1].value, b"marker", messages[-1].headers[:1])
    messages.append(Message(b"", b"marker", [("final", b"true")]))
    collected = run(system, messages, lambda c: bool(c.final("marker")))
    first, last = collected.predictions["marker"]
    assert (first.final, last.final) == (False, True)
    assert last.window is None
    assert last.probabilities == first.probabilities


def test_a_key_used_again_begins_a_new_stream(system: Settings) -> None:
    once = pcm_stream("again", music(3.0), SAMPLE_RATE)
    collected = run(
        system,
        [*once, *once],
        lambda c: sum(p.final for p in c.predictions.get("again", [])) >= 2,
    )
    first, second = collected.predictions["again"]
    assert first.probabilities == second.probabilities
    assert first.origin != second.origin
    assert first.event_id != second.event_id


def _numbered(messages: list[Message]) -> list[Message]:
    return [
        replace(message, headers=[*message.headers, ("sequence", b"%d" % number)])
        for number, message in enumerate(messages)
    ]


def test_repeated_late_and_missing_chunks(system: Settings) -> None:
    chunks = _numbered(pcm_stream("numbered", music(9.0), SAMPLE_RATE))
    sent = [chunks[i] for i in (0, 1, 1, 2, 0, 3, 5, 4, 6, 7, 8)]
    collected = run(system, sent, lambda c: bool(c.final("numbered") and c.reasons(b"numbered")))
    predictions = collected.predictions["numbered"]
    assert [p.missing_chunks for p in predictions] == [0, 1, 0]
    assert [p.end_seconds for p in predictions] == [3.0, 6.0, 8.0]
    assert collected.reasons(b"numbered") == ["late-chunk"]
    (letter,) = collected.dead_letters[b"numbered"]
    assert letter.value == chunks[4].value


def test_another_rate_in_mid_stream_loses_no_audio(system: Settings) -> None:
    low = pcm_stream("turn", music(4.5), SAMPLE_RATE // 2)
    high = encoded(np.stack([music(3.0, 44_100)] * 2, axis=1), 44_100)
    messages = [replace(m, headers=m.headers[:1]) for m in low]
    messages.append(Message(high, b"turn", [("final", b"true")]))
    collected = run(
        system, messages, lambda c: sum(p.final for p in c.predictions.get("turn", [])) >= 2
    )
    spans = [(p.start_seconds, p.end_seconds, p.final) for p in collected.predictions["turn"]]
    assert spans == [(0.0, 3.0, False), (3.0, 4.5, True), (0.0, 3.0, True)]
    assert collected.reasons(b"turn") == []


def test_the_trace_of_a_chunk_reaches_its_prediction_with_cloudevents_headers(
    system: Settings,
) -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def headers_of_prediction() -> dict[str, bytes]:
        reader = TopicReader(system, [Topics(system.topic_prefix).predictions])
        await reader.start()
        try:
            message = Message(
                encoded(music(3.0)), b"traced", [("final", b"true"), ("traceparent", trace)]
            )
            await send(system, [message])
            async with asyncio.timeout(30):
                async for record in reader.messages():
                    if record.key == b"traced":
                        return dict(record.headers)
        finally:
            await reader.stop()
        raise AssertionError

    headers = asyncio.run(headers_of_prediction())
    assert headers["traceparent"] == trace
    assert headers["ce_type"] == b"genrestream.genre_prediction.v1"
    assert headers["ce_id"].startswith(f"{system.topic_prefix}audio.chunks/".encode())
    assert headers["content-type"] == b"application/json"


def test_an_idle_stream_is_closed_with_its_rest_even_after_a_restart(brokers: str) -> None:
    settings = fresh_settings(brokers, "idle.", idle_timeout_seconds=2.0)
    rest = pcm_stream("rest", music(4.5), SAMPLE_RATE // 2)
    even = pcm_stream("even", music(3.0), SAMPLE_RATE // 2)
    messages = [Message(m.value, m.key, m.headers[:1]) for m in [*rest, *even]]
    with running_workers(settings, "extractor", "classifier") as workers:
        restarted: list[bool] = []

        def restart(collected: Collected) -> None:
            if not restarted:
                restarted.append(True)
                workers["extractor"].kill()
                workers["extractor"].wait()
                workers["extractor"] = start_worker("extractor", worker_environment(settings))

        collected = run(
            settings, messages, lambda c: bool(c.final("rest") and c.final("even")), restart
        )
    spans = {
        name: sorted({(p.start_seconds, p.end_seconds, p.final) for p in predictions})
        for name, predictions in collected.predictions.items()
    }
    assert spans["rest"] == [(0.0, 3.0, False), (3.0, 4.5, True)]
    assert spans["even"] == [(0.0, 3.0, False), (3.0, 3.0, True)]


def test_an_idle_end_stands_though_more_comes_after_a_crash(brokers: str) -> None:
    """The chunks' own times do not show the pause: a replay must know where the stream ended."""
    settings = fresh_settings(brokers, "idle-crash.", idle_timeout_seconds=2.0)
    now = round(1000 * time.time())
    first, more = (
        [
            Message(m.value, m.key, m.headers[:1], timestamp_ms=now)
            for m in pcm_stream("paused", music(4.5, seed=seed), SAMPLE_RATE // 2)
        ]
        for seed in (1, 2)
    )
    with running_workers(settings, "extractor", "classifier") as workers:
        run(settings, first, lambda c: bool(c.final("paused")))
        workers["extractor"].kill()  # before the end is saved, or soon after
        workers["extractor"].wait()
        workers["extractor"] = start_worker("extractor", worker_environment(settings))
        collected = run(
            settings,
            more,
            lambda c: len({p.event_id for p in c.predictions.get("paused", []) if p.final}) >= 2,
            from_beginning=True,
        )
    versions: dict[str, set[bytes]] = {}
    for prediction in collected.predictions["paused"]:
        versions.setdefault(prediction.event_id, set()).add(encode_event(prediction))
    assert [len(values) for values in versions.values()] == [1, 1, 1, 1]
    spans = {(p.origin, p.start_seconds, p.end_seconds) for p in collected.predictions["paused"]}
    assert sorted((start, end) for _, start, end in spans) == [(0, 3), (0, 3), (3, 4.5), (3, 4.5)]


def test_one_key_in_two_partitions_is_two_streams(system: Settings) -> None:
    """Producers of other languages put a key elsewhere: neither stream may swallow the other."""
    streams = [pcm_stream("split", music(6.0, seed=seed), SAMPLE_RATE) for seed in (1, 2)]
    messages = [
        replace(message, partition=partition)
        for pair in zip(*streams, strict=True)
        for partition, message in enumerate(pair)
    ]
    collected = run(
        system,
        messages,
        lambda c: sum(p.final for p in c.predictions.get("split", [])) >= 2,
    )
    origins = {p.origin.partition for p in collected.predictions["split"]}
    assert origins == {0, 1}
    for origin in origins:
        of_one = [p for p in collected.predictions["split"] if p.origin.partition == origin]
        assert [(p.window_index, p.windows, p.final) for p in of_one] == [
            (0, 1, False),
            (1, 2, True),
        ]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches_are_read(system: Settings, compression: str) -> None:
    key = f"packed {compression}"
    silence = pcm_stream(key, np.zeros(3 * SAMPLE_RATE, np.float32), SAMPLE_RATE)

    collected = run(system, silence, lambda c: bool(c.final(key)), compression=compression)
    final = collected.final(key)
    assert final
    assert final.label == "silence"


def test_a_time_that_no_clock_shows_stops_nothing(
    system: Settings, request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--broker") != "embedded":
        pytest.skip("Apache Kafka refuses such a time itself")
    messages = [replace(m, timestamp_ms=2**62) for m in pcm_stream("late", music(3.0), SAMPLE_RATE)]
    collected = run(system, messages, lambda c: bool(c.final("late")))
    assert collected.final("late")
