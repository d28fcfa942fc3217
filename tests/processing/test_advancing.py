import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import FeatureVector, Place
from schemas.errors import InputError
from services.observing.worker_metrics import Metrics
from services.processing.advancing import PATIENCE_SECONDS, Advancer, Outcome
from services.processing.container import processors
from services.processing.core import TakesLong, Turn
from services.processing.records import Progress, Record, Step


class Seen(msgspec.Struct, frozen=True):
    """What a stream has heard: the values of its messages."""

    values: tuple[bytes, ...] = ()
    ended: bool = False


SeenStep = Step[Seen, Seen, FeatureVector]


@dataclass
class Collector:
    """Remembers the messages of a stream; `end` ends it, `fail` is a fault of ours."""

    service: str = "collector"
    saved_type: type[Seen] = Seen
    idle_timeout_seconds: float | None = None

    def stream_id(self, record: Record) -> str:
        return (record.key or b"").decode()

    def resume(self, stream_id: str, saved: Seen) -> Seen:
        return saved

    def advance(self, state: Seen | None, record: Record) -> Sequence[SeenStep]:
        if record.value == b"fail":
            raise ZeroDivisionError("a fault")
        ended = record.value == b"end"
        seen = Seen((*(state.values if state else ()), record.value), ended)
        return [Step(None if ended else seen, released=(record.place.offset,), saved=seen)]

    def close(self, state: Seen) -> Sequence[SeenStep]:
        return [Step(state)]

    def size(self, state: Seen) -> int:
        return sum(map(len, state.values))

    def shed(self, state: Seen, reason: InputError) -> Sequence[SeenStep]:
        return [Step(None)]

    def is_open(self, saved: Seen) -> bool:
        return not saved.ended

    def progress(self, saved: Seen) -> Progress:
        return (len(saved.values),)

    def reaches(self, saved: Seen) -> int:
        return 0

    def is_over(self, saved: Seen, committed: int | None) -> bool:
        return saved.ended

    def is_expired(self, saved: Seen, committed: int | None, age_seconds: float) -> bool:
        return False


@dataclass
class BatchCollector(Collector):
    """Takes all streams at once, and fails at once."""

    sizes: list[int] = field(default_factory=list)

    def advance_many(self, turns: Sequence[Turn[Seen]]) -> list[list[Sequence[SeenStep]]]:
        self.sizes.append(len(turns))
        return [self._fold(turn) for turn in turns]

    def _fold(self, turn: Turn[Seen]) -> list[Sequence[SeenStep]]:
        state, found = turn.state, []
        for record in turn.records:
            found.append(self.advance(state, record))
            state = found[-1][0].saved
        return found


def a_record(stream: str, value: bytes, offset: int) -> Record:
    return Record(Place("t", 0, offset), 0, stream.encode(), value)


def outcomes(
    core: Any,
    streams: dict[str, list[Record]],
    *,
    halted: bool = False,
    patience: float = PATIENCE_SECONDS,
) -> list[Outcome[Seen, Seen, FeatureVector]]:
    advancer: Advancer[Seen, Seen, FeatureVector] = Advancer(
        core, Metrics("extractor", "group", "audio.chunks"), patience
    )
    if halted:
        advancer.halt()
    turns: list[Turn[Seen]] = [Turn(None, records) for records in streams.values()]
    return asyncio.run(advancer.advance(turns))


def advance(core: Any, streams: dict[str, list[Record]], *, halted: bool = False) -> Any:
    return [outcome.steps for outcome in outcomes(core, streams, halted=halted)]


def last(found: list[Sequence[SeenStep]]) -> Seen | None:
    return [steps[-1].saved for steps in found if steps[-1].saved][-1]


MESSAGES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from([b"x", b"y", b"end", b"fail"])), max_size=40
)


@pytest.mark.parametrize("core", [Collector(), BatchCollector()], ids=["threads", "together"])
@given(messages=MESSAGES)
def test_a_stream_is_advanced_in_order_and_a_fault_stops_nothing(
    core: Any, messages: list[tuple[str, bytes]]
) -> None:
    logging.disable(logging.ERROR)
    streams: dict[str, list[Record]] = {}
    for offset, (stream, value) in enumerate(messages):
        streams.setdefault(stream, []).append(a_record(stream, value, offset))
    for records, found in zip(streams.values(), advance(core, streams), strict=True):
        assert len(found) == len(records)
        for record, (step,) in zip(records, found, strict=True):
            assert step.released == (record.place.offset,)
            assert [letter.error.code for letter in step.dead_letters] == (
                ["internal-error"] if record.value == b"fail" else []
            )
        good = [record.value for record in records if record.value != b"fail"]
        if good:
            seen = last(found)
            assert seen
            assert list(seen.values) == good
    logging.disable(logging.NOTSET)


def test_what_can_be_advanced_together_is() -> None:
    core = BatchCollector()
    advance(core, {name: [a_record(name, b"x", i)] for i, name in enumerate("abc")})
    assert core.sizes == [3]


@pytest.mark.skipif(processors() < 2, reason="needs two processors")
def test_streams_are_advanced_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=30)

    class Companion(Collector):
        def advance(self, state: Seen | None, record: Record) -> Sequence[SeenStep]:
            meeting.wait()  # breaks, and fails the message, when nobody else comes
            return super().advance(state, record)

    found = advance(Companion(), {name: [a_record(name, b"x", 0)] for name in "ab"})
    assert [steps[0].dead_letters for (steps,) in found] == [(), ()]


@pytest.mark.parametrize("core", [Collector(), BatchCollector()], ids=["threads", "together"])
def test_nothing_begins_after_a_halt(core: Any) -> None:
    assert advance(core, {"a": [a_record("a", b"x", 0)]}, halted=True) == [[]]


def test_nothing_begins_when_the_time_is_up_but_one_message_in_each_thread() -> None:
    streams = {name: [a_record(name, b"x", i) for i in range(5)] for name in "abcde"}
    found = outcomes(Collector(), streams, patience=-1.0)
    assert [len(outcome.steps) for outcome in found] == [
        int(number < processors()) for number in range(5)
    ]
    assert not any(outcome.takes_long for outcome in found)


def test_a_stream_is_left_over_from_a_message_on_that_takes_long() -> None:
    class Sometimes(Collector):
        def advance(self, state: Seen | None, record: Record) -> Sequence[SeenStep]:
            if record.value == b"long":
                raise TakesLong(list)
            return super().advance(state, record)

    streams = {
        "a": [a_record("a", value, i) for i, value in enumerate([b"x", b"long", b"x"])],
        "b": [a_record("b", b"x", 3)],
    }
    found = outcomes(Sometimes(), streams)
    assert [(len(o.steps), o.takes_long) for o in found] == [(1, True), (1, False)]


def test_a_message_that_takes_long_is_processed_patiently() -> None:
    class Fails(Collector):
        def advance(self, state: Seen | None, record: Record) -> Sequence[SeenStep]:
            raise TakesLong(lambda: super(Fails, self).advance(state, record))

    advancer: Advancer[Seen, Seen, FeatureVector] = Advancer(
        Fails(), Metrics("extractor", "group", "audio.chunks")
    )
    (step,) = asyncio.run(advancer.advance_patiently(None, a_record("a", b"x", 0)))
    assert step.saved == Seen((b"x",))
    (step,) = asyncio.run(advancer.advance_patiently(None, a_record("a", b"fail", 0)))
    assert [letter.error.code for letter in step.dead_letters] == ["internal-error"]
