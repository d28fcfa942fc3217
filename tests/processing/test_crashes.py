"""I2 and I4: the processor crashes at any durable act, loses its partition, wakes as a zombie.

The order of `checkpoint` is held by this: each exchange of two of its steps fails here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import AudioChunk, FeatureVector, Place, encode_event
from services.classifier.classifier import Classifier
from services.extractor.extractor import Extractor
from services.extractor.state import Cursor, StreamState
from services.processing import remembering
from services.processing.advancing import PATIENCE_SECONDS
from services.processing.checkpoint import Checkpoint
from services.processing.core import Core, TakesLong
from services.processing.records import Record
from services.processing.saved_states import SavedStates
from tests.audio import integers, noise
from tests.classifier.test_classifier import MODEL, a_vector
from tests.extractor.streams import END, RECIPES, chunk, record
from tests.processing.worlds import Happening, World, encoded, live

EXTRACTOR, APART = map(Extractor, RECIPES)
#: Most messages of audio take long for it.
LATE = Extractor(RECIPES[0], side_by_side_seconds=0.5)
CLASSIFIER = Classifier(MODEL)
AUDIO = integers(noise(5.0, 8_000))
KEYS = ("a", "b")
FLOATS = "audio/pcm;rate=8000;encoding=f32le"

STORIES: st.SearchStrategy[list[tuple[Happening, int]]] = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["come"] * 4,
                *["process"] * 4,
                *["checkpoint"] * 2,
                *["idle"] * 2,
                *["crash"] * 4,
                "revoke",
                "zombie",
            ]
        ),
        st.integers(0, 6),
    ),
    min_size=10,
    max_size=50,
)


@st.composite
def messages(draw: st.DrawFn) -> AudioChunk:
    kind = draw(st.sampled_from([*["audio"] * 12, "last", "end", "corrupt", "broken"]))
    if kind == "end":
        return END
    if kind == "corrupt":
        return AudioChunk(b"fLaC, but no more")
    start, length = draw(st.integers(0, 8_000)), draw(st.sampled_from([500, 5_000, 9_000, 16_000]))
    if kind == "broken":
        return AudioChunk(b"\xff" * draw(st.integers(1, 9)), content_type=FLOATS)
    whole = chunk(AUDIO[start : start + length], 8_000, "pcm", final=kind == "last")
    return replace(whole, data=whole.data[draw(st.integers(0, 1)) :])


@st.composite
def chunk_logs(draw: st.DrawFn) -> list[Record]:
    log: list[Record] = []
    counted, now, numbers = draw(st.booleans()), 0, dict.fromkeys(KEYS, -1)
    for offset, message in enumerate(draw(st.lists(messages(), min_size=4, max_size=16))):
        now += draw(st.sampled_from([*[100] * 9, 0, 11_000]))
        key = draw(st.sampled_from(KEYS[:1] * 3 + KEYS[1:]))
        step = draw(st.sampled_from([*[1] * 6, 0, 3, -1, -numbers[key]]))
        numbers[key] = max(0, numbers[key] + step)
        numbered = replace(message, sequence=numbers[key]) if counted else message
        log.append(record(offset, numbered, key=key.encode(), timestamp_ms=now))
    return log


@st.composite
def vector_logs(draw: st.DrawFn) -> list[Record]:
    """Streams of two keys, one after another, whose vectors may come again."""
    vectors: list[FeatureVector] = []
    starts, windows = {"a": 0, "b": 50}, dict.fromkeys(KEYS, 0)
    for _ in range(draw(st.integers(4, 20))):
        key = draw(st.sampled_from(KEYS))
        final = draw(st.integers(0, 3)) == 0
        vector = a_vector(windows[key], start=starts[key], final=final)
        vectors.append(msgspec.structs.replace(vector, stream_id=key))
        windows[key] = 0 if final else windows[key] + 1
        starts[key] += 100 if final else 0
        if draw(st.integers(0, 4)) == 0:
            vectors.append(draw(st.sampled_from(vectors)))
    return [
        Record(Place("audio.features", 0, i), 1000 * i, v.stream_id.encode(), encode_event(v))
        for i, v in enumerate(vectors)
    ]


def ends(world: World) -> dict[int, int]:
    """Return where streams were ended for their silence, by the offset of their first chunk."""
    found = {}
    for key, value in world.disk.changes:
        saved: SavedStates[Any, Any, Any] = SavedStates({key: value or b""}, world.core)
        cursor = saved.load(key) if value else None
        if isinstance(cursor, Cursor) and cursor.closes_at is not None:
            found[cursor.origin.offset] = cursor.closes_at
    return found


class Fold:
    """Runs a core over a log without disturbance, and collects its events."""

    def __init__(self, core: Core[Any, Any, Any]) -> None:
        self.core = core
        self.states: dict[str, Any] = {}
        self.events: list[Any] = []

    def take(self, key: str, steps: Sequence[Any]) -> None:
        for step in steps:
            self.events += step.events
            if step.state is not None:
                self.states[key] = step.state
            elif step.saved is not None:
                self.states[key] = self.core.resume(key, step.saved)

    def record(self, entry: Record) -> None:
        key = self.core.stream_id(entry)
        try:
            steps = self.core.advance(self.states.get(key), entry)
        except TakesLong as long:
            steps = long.go_on()
        self.take(key, steps)

    def close(self, silences: dict[int, int], offset: int) -> None:
        """End the streams that were ended before an offset."""
        for key, state in list(self.states.items()):
            if isinstance(state, StreamState) and not state.cursor.ended:
                ends_at = silences.get(state.cursor.origin.offset)
                if ends_at is not None and offset >= ends_at:
                    self.take(key, self.core.close(state))


def undisturbed(world: World) -> dict[str, set[bytes]]:
    """Return what a worker publishes that nothing happens to, streams ended where they were."""
    fold, silences = Fold(world.core), ends(world)
    for entry in world.disk.source:
        fold.close(silences, entry.place.offset)
        fold.record(entry)
    fold.close(silences, len(world.disk.source))
    return encoded(fold.events)


def check(
    core: Core[Any, Any, Any],
    log: Iterable[Record],
    story: Iterable[Any],
    patience: float = PATIENCE_SECONDS,
) -> World:
    world = live(core, list(log), story, patience)
    assert {len(versions) for versions in world.values.values()} <= {1}
    assert world.values == undisturbed(world)
    assert world.disk.committed == len(world.disk.source)
    return world


@pytest.mark.parametrize(
    ("extractor", "patience"),
    [(EXTRACTOR, PATIENCE_SECONDS), (APART, PATIENCE_SECONDS), (LATE, PATIENCE_SECONDS), (LATE, 0)],
    ids=["behind", "apart", "late", "late and impatient"],
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(log=chunk_logs(), story=STORIES)
def test_an_extractor_contradicts_nothing_and_misses_nothing(
    extractor: Extractor, patience: float, log: list[Record], story: list[tuple[Happening, int]]
) -> None:
    check(extractor, log, story, patience)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(log=chunk_logs(), story=STORIES)
def test_nor_does_one_that_remembers_nothing(
    log: list[Record], story: list[tuple[Happening, int]]
) -> None:
    """What is over and committed can go at once: no replay has it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remembering, "REMEMBERED_BYTES", 0)
        patched.setattr(remembering, "LEAST_SECONDS", 0.0)
        check(EXTRACTOR, log, story)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(vector_logs(), STORIES)
def test_a_classifier_contradicts_nothing_and_misses_nothing(
    log: list[Record], story: list[tuple[Happening, int]]
) -> None:
    check(CLASSIFIER, log, story)


def audio_log(count: int) -> list[Record]:
    """Return a stream whose windows straddle its chunks, and its end."""
    chunks = [chunk(AUDIO[i * 5_000 : (i + 1) * 5_000], 8_000, "pcm") for i in range(count)]
    return [record(i, c, key=b"a", timestamp_ms=100 * i) for i, c in enumerate([*chunks, END])]


def vector_log(count: int) -> list[Record]:
    vectors = [a_vector(i, final=i == count - 1) for i in range(count)]
    return [
        Record(Place("audio.features", 0, i), 1000 * i, b"s", encode_event(v))
        for i, v in enumerate(vectors)
    ]


@pytest.mark.parametrize("come", [1, 2, 6])
@pytest.mark.parametrize(
    ("core", "log"),
    [
        (EXTRACTOR, audio_log(7)),
        (APART, audio_log(7)),
        (LATE, audio_log(7)),
        (CLASSIFIER, vector_log(8)),
    ],
    ids=["e", "apart", "late", "c"],
)
def test_a_crash_at_each_act(core: Any, log: list[Record], come: int) -> None:
    """Whatever lasts when the process ends, nothing is missing and nothing differs."""
    crashes = 0
    for acts in range(40):
        rounds: list[Any] = [("come", come), ("process", 0), ("rest", 0), ("checkpoint", 0)] * 3
        crashes += check(core, log, [("crash", acts), *rounds]).crashes
    assert crashes >= 5


ORDER = ("_deliver", "_save", "_release")


@pytest.mark.parametrize("order", [o for o in permutations(ORDER) if o != ORDER], ids="-".join)
def test_any_other_order_of_a_checkpoint_is_found_out(
    order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def complete(checkpoint: Any) -> None:
        for step in order:
            await getattr(checkpoint, step)()

    monkeypatch.setattr(Checkpoint, "complete", complete)
    story: list[Any] = [("come", 2), ("process", 0), ("checkpoint", 0)] * 3

    def live_through_all() -> None:
        for acts in range(40):
            for core, log in ((EXTRACTOR, audio_log(7)), (CLASSIFIER, vector_log(8))):
                check(core, log, [("crash", acts), *story])

    with pytest.raises(AssertionError):
        live_through_all()
