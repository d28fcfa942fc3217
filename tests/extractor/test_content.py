"""I1 and I2 for content, and where it is computed."""

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from features import CONTENT_SET, FEATURE_SETS, Audio, Samples, feature_set, resample
from schemas import AudioChunk, Content, FeatureVector
from services.commands import classify
from services.extractor import vectors as computing
from services.extractor.state import Cursor, Recipe, StreamState, resume
from services.extractor.stream import ExtractorStep, advance
from services.settings import load_settings
from tests.audio import Frames, integers, music, noise
from tests.extractor.streams import END, record, run, vectors

RATE = 44_100
RECIPE = Recipe((feature_set("seed-25"),), content=True)


def sounds() -> list[Frames]:
    """Return 3 s of music, 3 s of noise and 1.5 s of music."""
    return [music(3.0, RATE), noise(3.0, RATE) * np.float32(0.3), music(1.5, RATE)]


def chunks(pieces: int) -> list[AudioChunk]:
    return [*map(chunk, np.array_split(np.concatenate(sounds()), pieces)), END]


def chunk(y: Frames) -> AudioChunk:
    return AudioChunk(integers(y).tobytes(), content_type=f"audio/pcm;rate={RATE};channels=1")


def test_content_does_not_depend_on_chunks_or_on_what_came_before() -> None:
    whole, cut = vectors(run(chunks(1), RECIPE)), vectors(run(chunks(13), RECIPE))
    assert whole == cut
    heard = [vector.content for vector in whole if vector.values]
    assert len({str(content) for content in heard}) == 3
    alone = vectors(run([chunk(sounds()[1]), END], RECIPE))
    assert alone[0].content == heard[1]


def test_it_is_told_what_each_window_holds() -> None:
    first, second, third = [v.content for v in vectors(run(chunks(5), RECIPE)) if v.values]
    assert first
    assert second
    assert third
    assert min(first.music, third.music) > 0.8 > 0.5 > second.music
    assert second.other > 0.8


def test_all_sets_say_the_same_and_are_heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    hear = computing.hear

    def count(y: Samples) -> tuple[Content, tuple[float, ...]]:
        heard.append(len(y))
        return hear(y)

    monkeypatch.setattr(computing, "hear", count)
    recipe = Recipe(tuple(map(feature_set, FEATURE_SETS)), content=True)
    found = [v for v in vectors(run(chunks(1), recipe)) if v.values]
    assert len(found) == 3 * len(FEATURE_SETS)
    assert heard == [48_000, 48_000, 24_000]
    for index in range(3):
        assert len({str(v.content) for v in found if v.window_index == index}) == 1


def turns(seconds: float = 3.0) -> list[AudioChunk]:
    """Return seven windows that take turns: music, noise, …, in chunks that end in between."""
    kinds = [music(seconds, RATE), noise(seconds, RATE) * np.float32(0.3)]
    y = np.concatenate([kinds[number % 2] for number in range(7)])
    return [*map(chunk, np.array_split(y, 11)), END]


def contents(steps: list[ExtractorStep]) -> list[Content | None]:
    return [vector.content for vector in vectors(steps) if vector.values]


def test_windows_carry_what_content_goes_by_in_few_digits() -> None:
    y = resample(Audio((integers(sounds()[1]) / 32768).astype(np.float32), RATE), 16_000)
    expected = feature_set(CONTENT_SET).extract(y)
    for pieces in (1, 5):
        found = [v for v in vectors(run(chunks(pieces), RECIPE)) if v.values]
        assert [len(v.content_embedding) for v in found] == [192] * 3
        assert found[1].content_embedding == pytest.approx(expected, rel=2e-3)
    assert len(msgspec.json.encode(found[1].content_embedding)) < 192 * 10


def test_windows_that_are_not_heard_carry_none_of_it() -> None:
    found = vectors(run(turns(), replace(RECIPE, content_every=3)))
    heard = [bool(v.content_embedding) for v in found if v.values]
    assert heard == [number % 3 == 0 for number in range(7)]
    without = vectors(run(turns(), replace(RECIPE, content=False)))
    assert not any(v.content_embedding for v in without)


@pytest.mark.parametrize("every", [2, 3])
def test_one_window_in_so_many_is_heard(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    each = contents(run(turns(), RECIPE))
    calls: list[int] = []
    hear = computing.hear

    def count(y: Samples) -> tuple[Content, tuple[float, ...]]:
        calls.append(len(y))
        return hear(y)

    monkeypatch.setattr(computing, "hear", count)
    recipe = replace(RECIPE, content_every=every)
    found = contents(run(turns(), recipe))
    assert found == [each[number - number % every] for number in range(7)]
    assert len(calls) == -(-7 // every)
    assert found != each


def test_chunks_and_restarts_do_not_change_which_windows_are_heard() -> None:
    recipe = replace(RECIPE, content_every=3)
    messages = turns()
    whole = vectors(run(messages, recipe))
    assert whole == vectors(run(chunks_anew(messages), recipe))
    steps = run(messages, recipe)
    saved = [(number, step.saved) for number, step in enumerate(steps) if step.saved]
    assert len(saved) > 4
    for number, cursor in saved[:-1]:
        kept = msgspec.json.decode(msgspec.json.encode(cursor), type=Cursor)
        state: StreamState | None = resume("radio-1", kept)
        again: list[FeatureVector] = []
        for offset in range(kept.offset, len(messages)):
            step = advance(state, record(offset, messages[offset]), recipe)[-1]
            state = step.state
            again += step.events
        assert again == vectors(steps[number + 1 :])


def chunks_anew(messages: list[AudioChunk]) -> list[AudioChunk]:
    """Cut the same audio into other chunks."""
    data = b"".join(message.data for message in messages)
    sizes = [2 * number for number in (RATE // 3, 5 * RATE, RATE * 4 + 77)]
    parts = [data[a:b] for a, b in pairwise([0, *np.cumsum(sizes).tolist(), len(data)])]
    return [*(AudioChunk(part, content_type=messages[0].content_type) for part in parts), END]


def test_the_next_stream_is_heard_from_its_first_window_on() -> None:
    recipe = replace(RECIPE, content_every=4)
    first, second = [chunk(sounds()[0]), END], [chunk(sounds()[1]), END]
    found = contents(run([*first, *second], recipe))
    assert found == [contents(run(part, RECIPE))[0] for part in (first, second)]


def test_the_cursor_keeps_no_content_where_every_window_is_heard() -> None:
    for recipe, keeps in ((RECIPE, False), (replace(RECIPE, content_every=2), True)):
        saved = [step.saved for step in run(turns(), recipe) if step.saved and step.state]
        assert saved
        assert {cursor.content is not None for cursor in saved} == {keeps}


def test_files_are_classified_likewise(tmp_path: Path) -> None:
    y = np.concatenate([sounds()[0], sounds()[1]])
    soundfile.write(tmp_path / "a.flac", y, RATE)
    found = [
        [
            prediction.content
            for prediction in classify.create_file_classifier(
                load_settings(content_every=every)
            ).predictions(tmp_path / "a.flac")
        ]
        for every in (1, 2)
    ]
    assert found[0][0] != found[0][1]
    assert found[1] == [found[0][0]] * 2


def test_without_it_vectors_have_none() -> None:
    recipe = Recipe((feature_set("seed-25"),))
    assert {v.content for v in vectors(run(chunks(1), recipe))} == {None}


@pytest.mark.parametrize(
    ("names", "setting", "expected"),
    [
        (["musicnn-200"], None, True),
        (["musicnn-200-int8"], None, True),
        (["musicnn-200", "seed-25"], None, True),
        (["seed-25", "librosa-52"], None, False),
        (["musicnn-200"], False, False),
        (["seed-25"], True, True),
    ],
)
def test_it_is_computed_where_a_network_is_at_work_or_it_is_asked_for(
    names: list[str], setting: bool | None, expected: bool
) -> None:
    assert load_settings(content=setting).wants_content(names) is expected


def test_classify_does_as_the_services_do() -> None:
    assert classify.create_file_classifier(load_settings()).content
    assert not classify.create_file_classifier(load_settings(model="mlp-seed-25")).content


def test_hand_crafted_sets_load_no_network() -> None:
    """In a process of its own: others may have loaded one here."""
    import subprocess

    code = (
        "import sys, numpy, features\n"
        "from schemas import Place\n"
        "from services.extractor.vectors import feature_vectors\n"
        "window = features.Window(0, 0.0, features.Audio(numpy.ones(66150, 'f'), 22050))\n"
        "sets = [features.feature_set('seed-25')]\n"
        "feature_vectors('s', Place('t', 0, 0), window, sets, with_content=False)\n"
        "print('onnxruntime' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.split() == ["False"]
