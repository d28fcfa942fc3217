"""I2 and I4 under crashes at any point, with streams that are closed by the clock of the wall.

A small model of a worker: the log, the table, the committed offset and what was published outlive a
crash, all else is lost. An idle stream is closed whenever the worker has read the whole log, so the
same log gives different streams; but what was published once must never be contradicted.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import AudioChunk, FeatureVector, encode_event
from services.extractor.extractor import Extractor
from services.extractor.state import Cursor, StreamState
from services.extractor.stream import ExtractorStep
from services.processing.records import Record
from tests.audio import integers, noise
from tests.extractor.streams import END, RECIPE, chunk, record

EXTRACTOR = Extractor(RECIPE)
AUDIO = integers(noise(5.0, 8_000))
KEYS = ("a", "b")
COMPLETE = 3

Event = Literal["process", "close", "save", "crash"]


@dataclass
class Durable:
    """What outlives a crash."""

    log: list[Record] = field(default_factory=list)
    table: dict[str, Cursor] = field(default_factory=dict)
    committed: int = 0
    published: dict[str, set[bytes]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)

    def publish(self, events: tuple[FeatureVector, ...]) -> None:
        for event in events:
            self.published.setdefault(event.event_id, set()).add(encode_event(event))

    def save(self, key: str, cursor: Cursor) -> None:
        self.table[key] = cursor
        if cursor.closes_at is not None:
            self.ends[cursor.origin.offset] = cursor.closes_at


@dataclass
class Worker:
    """A worker's memory: publishes at once, saves and commits later, as the real one does."""

    disk: Durable
    states: dict[str, StreamState] = field(default_factory=dict)
    unsaved: dict[str, Cursor] = field(default_factory=dict)
    released: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    position: int = 0

    def __post_init__(self) -> None:
        self.position = self.disk.committed

    def caught_up(self) -> bool:
        return self.position == len(self.disk.log)

    def state(self, key: str) -> StreamState | None:
        if key in self.states:
            return self.states[key]
        saved = self.unsaved.get(key) or self.disk.table.get(key)
        return EXTRACTOR.resume(key, saved) if saved else None

    def process(self) -> None:
        entry = self.disk.log[self.position]
        self.position += 1
        key = EXTRACTOR.stream_id(entry)
        for step in EXTRACTOR.advance(self.state(key), entry):
            self.take(key, step)

    def take(self, key: str, step: ExtractorStep) -> None:
        self.disk.publish(step.events)
        if step.state:
            self.states[key] = step.state
        else:
            self.states.pop(key, None)
        if step.saved:
            self.unsaved[key] = step.saved
        self.released |= set(step.released)

    def close(self, key: str, phases: int = COMPLETE) -> None:
        """End a stream: 1. decide and save that, 2. publish the end, 3. save."""
        state = self.state(key)
        if state is None or state.cursor.ended:
            return
        *decision, end = EXTRACTOR.close(state)
        for step in decision:
            self.take(key, step)
            self.save()
        if phases > 1:
            self.take(key, end)
        if phases == COMPLETE:
            self.save()

    def save(self) -> None:
        for key, cursor in self.unsaved.items():
            self.disk.save(key, cursor)
        self.unsaved.clear()
        self.done |= self.released
        self.released.clear()
        while self.disk.committed in self.done:
            self.disk.committed += 1


def history(disk: Durable) -> dict[str, set[bytes]]:
    """Return what an undisturbed worker publishes that ends streams where they were ended."""
    quiet = Durable(log=disk.log)
    worker = Worker(quiet)
    for offset in range(len(disk.log) + 1):
        for key, state in list(worker.states.items()):
            ends_at = disk.ends.get(state.cursor.origin.offset)
            if ends_at is not None and offset >= ends_at:
                worker.close(key)
        if offset < len(disk.log):
            worker.process()
    return quiet.published


@st.composite
def messages(draw: st.DrawFn) -> AudioChunk:
    kind = draw(st.sampled_from([*["audio"] * 12, "last", "end", "corrupt"]))
    if kind == "end":
        return END
    if kind == "corrupt":
        return AudioChunk(b"fLaC, but no more")
    start, length = draw(st.integers(0, 8_000)), draw(st.sampled_from([500, 5_000, 9_000, 16_000]))
    return chunk(AUDIO[start : start + length], 8_000, "pcm", final=kind == "last")


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    log: list[Record] = []
    counted, now, numbers = draw(st.booleans()), 0, dict.fromkeys(KEYS, -1)
    for offset, message in enumerate(draw(st.lists(messages(), min_size=4, max_size=12))):
        now += draw(st.sampled_from([*[100] * 9, 0, 11_000]))
        key = draw(st.sampled_from(KEYS[:1] * 3 + KEYS[1:]))
        step = draw(st.sampled_from([*[1] * 6, 0, 3, -1, -numbers[key]]))
        numbers[key] = max(0, numbers[key] + step)
        numbered = replace(message, sequence=numbers[key]) if counted else message
        log.append(record(offset, numbered, key=key.encode(), timestamp_ms=now))
    return log


EVENTS: st.SearchStrategy[list[tuple[Event, str, int]]] = st.lists(
    st.tuples(
        st.sampled_from(["process", "process", "process", "close", "close", "save", "crash"]),
        st.sampled_from(KEYS),
        st.integers(1, COMPLETE),
    ),
    min_size=10,
    max_size=50,
)


@settings(max_examples=150)
@given(logs(), EVENTS)
def test_nothing_that_was_published_is_contradicted_or_missing(
    log: list[Record], events: list[tuple[Event, str, int]]
) -> None:
    disk = Durable()
    worker = Worker(disk)
    waiting = iter(log)
    for event, key, phases in events:
        if event == "process":
            if worker.caught_up():
                disk.log.extend([entry] if (entry := next(waiting, None)) else [])
            if not worker.caught_up():
                worker.process()
        elif event == "close" and worker.caught_up():
            worker.close(key, phases)
            worker = worker if phases == COMPLETE else Worker(disk)
        elif event == "save":
            worker.save()
        elif event == "crash":
            worker = Worker(disk)
    disk.log.extend(waiting)
    while not worker.caught_up():
        worker.process()
    for key in KEYS:
        worker.close(key)
    worker.save()
    assert {len(versions) for versions in disk.published.values()} <= {1}
    assert disk.published == history(disk)
    assert disk.committed == len(disk.log)
