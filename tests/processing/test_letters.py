"""What a topic does not take by its size becomes a letter: cut, or by reference."""

import asyncio
import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass

import pytest

from schemas import FeatureVector, Place, decode_dead_letter
from schemas.errors import CorruptAudio
from services.processing.errors import DeliveryError, RefusedBySize
from services.processing.log import Message
from services.processing.outbox import Outbox, Parcel
from services.processing.partition import Partition
from services.processing.records import DeadLetter, Record, Step
from tests.processing.memory_log import Disk, MemoryLog
from tests.processing.worlds import OUTPUTS, Silent

VALUE = bytes(range(256)) * 4096


@dataclass
class SmallLog(MemoryLog):
    """A log that takes messages of so many bytes at most."""

    most: int = 10**9

    async def send(self, message: Message) -> Awaitable[object]:
        sent = await super().send(message)
        return sent if size(message) <= self.most else Refused()


class Refused(Awaitable[object]):
    def __await__(self):  # type: ignore[no-untyped-def]
        raise RefusedBySize("too large")
        yield  # type: ignore[unreachable]  # makes it a generator


def size(message: Message) -> int:
    headers = sum(len(name) + len(value) for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


class Named:
    """As much of a core as letters need."""

    service = "extractor"

    def stream_id(self, record: Record) -> str:
        return str(record.place)


def sent(most: int, step: Step[None, None, FeatureVector], cause: Record) -> list[Message]:
    async def put() -> None:
        outbox: Outbox = Outbox(log, Named(), OUTPUTS, Silent())  # type: ignore[arg-type,type-arg]
        parcel: Parcel = Parcel()  # type: ignore[type-arg]
        await outbox.put(parcel, Partition(0, 0.0), "s", step, cause)
        await (await outbox.dispatch(parcel))

    log = SmallLog(Disk(), {}, most=most)
    asyncio.run(put())
    return log.disk.sent


def record(headers: int = 3) -> Record:
    many = [(f"h{i}", b"x" * 5000) for i in range(headers)]
    return Record(Place("audio.chunks", 2, 17), 0, b"k" * 5000, VALUE, many)


@pytest.mark.parametrize(
    ("most", "kept", "headers"), [(10**9, len(VALUE), 300), (200_000, 65_536, 32), (1000, 0, 0)]
)
def test_a_letter_is_as_whole_as_its_topic_takes(most: int, kept: int, headers: int) -> None:
    bad = record(headers=300)
    letter = DeadLetter(bad, CorruptAudio("broken"))
    (message,) = sent(most, Step(None, dead_letters=(letter,)), bad)
    reason = decode_dead_letter(message.headers)
    assert message.value == VALUE[:kept]
    assert sum(name.startswith("h") for name, _ in message.headers) == headers
    assert (reason.place, reason.error) == (bad.place, "corrupt-audio")
    whole = kept == len(VALUE)
    assert reason.cut_from == (None if whole else len(VALUE))
    assert reason.sha256 == (None if whole else hashlib.sha256(VALUE).hexdigest())


def test_an_event_that_its_topic_does_not_take_is_a_letter() -> None:
    cause = Record(Place("audio.chunks", 2, 17), 0, b"k", b"audio")
    event = FeatureVector(
        event_id="e",
        stream_id="s" * 5000,
        origin=cause.place,
        feature_set="musicnn-200",
        window_index=0,
        start_seconds=0.0,
        end_seconds=3.0,
        level_dbfs=-20.0,
        values=(1.0,) * 200,
    )
    (message,) = sent(2000, Step(None, (event,)), cause)
    reason = decode_dead_letter(message.headers)
    assert message.topic == "letters"
    assert message.value == b"audio"
    assert (reason.place, reason.error) == (cause.place, "message-too-large")
    assert "max.message.bytes" in reason.message


def test_a_topic_that_takes_no_letter_at_all_ends_the_worker() -> None:
    bad = record()
    with pytest.raises(DeliveryError, match="too large"):
        sent(10, Step(None, dead_letters=(DeadLetter(bad, CorruptAudio("x")),)), bad)
