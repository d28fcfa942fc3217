"""Feature vectors that no extractor made."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas import Place
from tests.abuse.beside import Beside, Workers, run
from tests.broker.harness import Message

pytestmark = [pytest.mark.broker, pytest.mark.abuse, pytest.mark.timeout(300)]

_WIDTH = 52
_FAR = 2**53 + 1


def _vector(stream_id: str, **other: Any) -> Message:
    place = Place("audio.chunks", 0, 1)
    fields = {
        "event_id": "forged",
        "stream_id": stream_id,
        "origin": {"topic": place.topic, "partition": 0, "offset": place.offset},
        "feature_set": "librosa-52",
        "window_index": 0,
        "start_seconds": 0.0,
        "end_seconds": 3.0,
        "level_dbfs": -20.0,
        "values": [0.5] * _WIDTH,
        "final": True,
        "schema_version": "1.0",
    }
    value = json.dumps(fields | other).encode(errors="surrogatepass")
    return Message(value, stream_id.encode(errors="replace"), topic="audio.features")


def _far(**place: Any) -> dict[str, Any]:
    return {"origin": {"topic": "audio.chunks", "partition": 0, "offset": 0} | place}


def _of(prefix: str, message: Message) -> Message:
    """Let a vector name the chunk topic of the system."""
    own = f'"topic": "{prefix}audio.chunks"'.encode()
    return replace(message, value=(message.value or b"").replace(b'"topic": "audio.chunks"', own))


REFUSED: dict[str, Message] = {
    "nan": _vector("nan", values=[float("nan")] * _WIDTH),
    "infinite": _vector("infinite", values=[float("inf")] * _WIDTH),
    "huge": _vector("huge", values=[1e308] * _WIDTH),
    "wide": _vector("wide", values=[0.5] * 1_000_000),
    "narrow": _vector("narrow", values=[0.5]),
    "count": _vector("count", window_index=_FAR),
    "missing": _vector("missing", missing_chunks=2**63 - 1),
    "offset": _vector("offset", **_far(offset=9 * 10**18)),
    "partition": _vector("partition", **_far(partition=_FAR)),
    "ahead": _vector("ahead", **_far(offset=10**9)),
    "elsewhere": _vector("elsewhere", **_far(topic="payroll")),
    "no partition": _vector("no partition", **_far(partition=64)),
    "bigger": _vector("bigger", window_index=10**400),
    "negative": _vector("negative", start_seconds=-1.0),
    "calendar": _vector("calendar", heard_at="2026-02-31T00:00:00.000Z"),
    "nothing": Message(b"", b"nothing", topic="audio.features"),
    "null": Message(None, b"null", topic="audio.features"),
    "deep": Message(b"[" * 1_000_000, b"deep", topic="audio.features"),
    "key": Message(_vector("a").value, b"another", topic="audio.features"),
    "no text": Message(_vector("a").value, b"\xff\xfe", topic="audio.features"),
    "long": _vector("k" * 1_000_000),
}
#: Ids of all kinds that are text: they have their answers.
TAKEN = ["\U0010ffff", "\u202e\u0000\u001b[2J", "\ue000" * 1000, "[/e]", "a\nb", " ", "e\u0301"]
EXTREME = {"start_seconds": 1e308, "end_seconds": 1.7e308, "level_dbfs": -1e308}


def test_forged_vectors(workers: Workers) -> None:
    async def case(beside: Beside) -> None:
        refused = [replace(message, partition=0) for message in REFUSED.values()]
        prefix = beside.settings.topic_prefix
        await beside.send([Message(b"no audio", b"first", partition=0)] * 2)  # origins of the taken
        places = await beside.send([_of(prefix, message) for message in refused])
        await beside.send([_of(prefix, _vector(name, **EXTREME)) for name in TAKEN])
        await beside.until(
            lambda: (
                beside.answered(places, "audio.features")
                and all(beside.is_over(stream_id) for stream_id in TAKEN)
            )
        )
        for _, reason in beside.letters:
            assert reason.message.isprintable()
            assert len(reason.message) < 2000

    run(workers, "vectors", case)
