"""Clips to labelled windows, the fit of the layer, and the scores that are shipped with it."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from features.embeddings.content import KINDS
from services.classifier import content as classifying
from tests.audio import Frames, music, noise, tone
from training.data.content_clips import (
    WINDOW,
    Clip,
    LabelledWindow,
    Source,
    lay_over,
    read_clips,
    read_sources,
    voiced_frames,
    windows,
)
from training.errors import DataError
from training.networks import content_file, content_fitting
from training.networks.content_fitting import ContentReport, Embedded

RATE = 16_000
REPORT = msgspec.json.decode(content_fitting.REPORT.read_bytes(), type=ContentReport)


def sources() -> list[Source]:
    return [
        Source(f"{kind}-{side}", kind, side, 1.0, "made")
        for kind in ("music", "speech", "environment")
        for side in (False, True)
    ]


def words(seconds: float) -> Frames:
    """Make bursts of half a second with pauses as long."""
    time = np.arange(round(seconds * RATE)) / RATE
    return tone(seconds, RATE) * (time % 1.0 < 0.5).astype(np.float32)


SOUNDS = {"music": music(10.0, RATE), "speech": words(10.0), "environment": noise(10.0, RATE)}


def clips() -> list[Clip]:
    return [Clip(source.name, source, SOUNDS[source.kind]) for source in sources()]


def write(folder: Path) -> None:
    for source in sources():
        (folder / source.name).mkdir()
        soundfile.write(folder / source.name / "1.wav", SOUNDS[source.kind], RATE)


def test_clips_are_read_by_source(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "music-False" / "broken.wav").write_bytes(b"RIFF")
    found = read_clips(tmp_path, sources())
    assert [clip.source for clip in found] == sources()
    assert {len(clip.samples) for clip in found} == {10 * RATE}


def test_a_side_without_clips_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "speech-True" / "1.wav").rename(tmp_path / "elsewhere.wav")
    (tmp_path / "speech-True").rmdir()
    with pytest.raises(DataError, match="has no speech held back: add recordings"):
        read_clips(tmp_path, sources())


def test_windows_are_the_same_each_time_and_stay_on_their_side() -> None:
    first, second = list(windows(clips(), mixtures=4)), list(windows(clips(), mixtures=4))
    assert len(first) > 200
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.samples, b.samples)
        assert (a.clip, a.kind, a.held_back) == (b.clip, b.kind, b.held_back)
    assert {len(window.samples) for window in first} == {WINDOW}
    assert {window.held_back for window in first} == {False, True}
    assert all(str(w.held_back) in w.clip for w in first)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("music", (1.0, 0.0, 0.0)),
        ("speech", (0.0, 1.0, 0.0)),
        ("environment", (0.0, 0.0, 1.0)),
        ("speech+0 over music", (1.0, 1.0, 0.0)),
        ("speech+10 over environment", (0.0, 1.0, 1.0)),
        ("music+0 over environment", (1.0, 0.0, 1.0)),
    ],
)
def test_windows_are_labelled_by_what_they_hold(
    kind: str, labels: tuple[float, float, float]
) -> None:
    found = [window.labels for window in windows(clips(), mixtures=4) if window.kind == kind]
    assert found
    assert set(found) == {labels}


def test_a_pause_in_speech_is_no_speech() -> None:
    y = np.concatenate([words(3.0), np.zeros(3 * RATE, np.float32)]) + noise(
        6.0, RATE
    ) * np.float32(1e-2)
    source = sources()[2]
    others = [clip for clip in clips() if clip.source.kind != "speech" or clip.source.held_back]
    found = windows([Clip("pause", source, y), *others], mixtures=2)
    labelled = [window for window in found if window.clip == "pause"]
    assert [window.labels[1] for window in labelled] == [1.0, 0.0]
    assert 0.4 < voiced_frames(words(10.0)).mean() < 0.6


@pytest.mark.parametrize("ratio", [10, 0, -5])
def test_mixtures_have_the_ratio_of_their_name(ratio: int) -> None:
    """The upper sound is left out where it pauses: there the mixture is the lower alone."""
    low, high = tone(9.0, RATE, 200.0), tone(9.0, RATE, 1000.0)
    mixed, _ = lay_over(low, high, ratio, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(mixed[:RATE]))
    assert 20 * np.log10(spectrum[200] / spectrum[1000]) == pytest.approx(ratio, abs=0.1)
    assert np.abs(mixed).max() <= 0.9


def embedded(seed: int) -> Embedded:
    """Make rows in which three values tell the three kinds."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (600, 3)).astype(float)
    rows = random.standard_normal((600, 192)).astype(np.float32)
    rows[:, :3] += 9 * labels
    labels[:20, 1] = np.nan
    made = [
        LabelledWindow(np.zeros(0, np.float32), str(i // 3), "music", False, 1.0, tuple(row))
        for i, row in enumerate(labels.tolist())
    ]
    return Embedded(rows, made)


def test_the_layer_learns_each_kind_by_itself() -> None:
    head, other = content_fitting.fit(embedded(0)), embedded(1)
    found, truth = content_fitting.apply(head, other.rows), other.labels
    assert (head[0].shape, head[1].shape) == ((192, 3), (3,))
    for number in range(len(KINDS)):
        holds, does_not = (found[truth[:, number] == value].T for value in (1.0, 0.0))
        gaps = holds.mean(axis=1) - does_not.mean(axis=1)
        assert gaps.argmax() == number
        assert gaps[number] > 0.1
    again = content_fitting.fit(embedded(0))
    assert [part.tobytes() for part in again] == [part.tobytes() for part in head]
    assert min(content_fitting.score(head, other, 600).auc.values()) > 0.97


def test_shares_of_windows_and_clips_are_counted() -> None:
    """Ten windows of two clips; music is told in the first of each, speech in the first alone."""
    head = np.zeros((192, 3), np.float32), np.zeros(3, np.float32)
    head[0][0, 0] = head[0][1, 1] = head[0][2, 2] = 100.0
    rows = np.zeros((10, 192), np.float32)
    rows[:, :3] = -1.0
    rows[[0, 5], 0] = rows[0, 1] = 1.0
    window = LabelledWindow(np.zeros(0, np.float32), "", "music", True, 1.0, (1.0, 0.0, 0.0))
    labels = [(1.0, 1.0, 1.0), *[(0.0, 0.0, 0.0)] * 9]
    made = [replace(window, clip=str(i // 5), labels=label) for i, label in enumerate(labels)]
    report = content_fitting.score(head, Embedded(rows, made), 3)
    (found,) = report.kinds
    assert (found.windows, found.clips) == (10, 2)
    assert (found.music, found.speech, found.both, found.genre) == (0.2, 0.1, 0.1, 0.2)
    assert found.clips_genre == 0.0


def test_the_shipped_sources_are_whole() -> None:
    shipped = read_sources(content_file.SOURCES)
    names = [source.name for source in shipped]
    assert len(names) == len(set(names)) > 50
    assert all(source.origin for source in shipped)
    assert {(s.kind, s.held_back) for s in shipped} >= {
        (kind, side) for kind in ("music", "speech", "environment") for side in (False, True)
    }


def test_an_unknown_kind_of_source_is_named(tmp_path: Path) -> None:
    table = tmp_path / "sources.csv"
    table.write_text("source,kind,held_back,weight,origin\nzoo,animals,0,1,x\n")
    with pytest.raises(DataError, match="has kinds animals: choose music, speech"):
        read_sources(table)


def test_what_is_scored_is_where_the_classifier_draws_its_line() -> None:
    assert content_file.GENRE_FROM == classifying.GENRE_FROM
    assert content_fitting.LEAST_MUSIC == classifying.LEAST_MUSIC


def test_the_shipped_layer_holds_what_it_promises() -> None:
    """On sources held back from the fit that was scored."""
    kinds = {kind.kind: kind for kind in REPORT.kinds}
    assert set(REPORT.auc) == set(KINDS)
    for kind in ("speech", "environment"):
        assert kinds[kind].clips > 200
        assert kinds[kind].genre <= 0.05
        assert kinds[kind].clips_genre <= 0.03
    assert kinds["music"].genre >= 0.97
    assert kinds["music"].clips_genre >= 0.99
    mixed = [kinds[f"speech{ratio} over music"] for ratio in ("+10", "+5", "+0", "-5")]
    assert np.average([k.both for k in mixed], weights=[k.windows for k in mixed]) >= 0.9
