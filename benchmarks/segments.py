"""Measure what sounds now, on programmes that are known: ``python -m benchmarks.segments DATA``.

A plain linear discriminant is fitted to the embeddings of the tracks of the fault-filtered train
side; programmes are made of the tracks of its valid side that are there as audio, and of speech
and silence. Their windows are extracted once, as the extractor does it; then the classifier's own
fold runs over them with several settings. The constants of the fold were chosen on programmes of
seeds 0 to 7; others are a fairer measure of them, though of the same tracks.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks import programmes, report
from features import FeatureSet, feature_set
from schemas import GENRES, FeatureVector, ModelReference, Place
from services.classifier.content import Heard
from services.classifier.now import NowState, Rule
from services.classifier.score import hear_window
from services.classifier.segments import take_in
from services.extractor.vectors import feature_vectors, told
from training.data.splits import fault_filtered

REPORT: Final = report.FOLDER / "segments.json"
FEATURES: Final = "musicnn-200"
#: Of the discriminant's logits: its mean confidence on windows is then near their accuracy.
TEMPERATURE: Final = 0.3
SILENCE_DBFS: Final = -60.0
MODEL: Final = ModelReference("benchmark", "1.0.0")
#: A change counts as that of a part if its border is no farther from that of the part.
NEAR_SECONDS: Final = 9.0
NOW: Final = (15.0, 30.0, 45.0, 60.0)
CHANGE: Final = (6.0, 9.0, 12.0, 15.0)
SHIPPED: Final = (30.0, 12.0)
#: `GENRESTREAM_CONTENT_EVERY`, with the setting that ships.
EVERY: Final = (1, 2, 4, 10)


@dataclass(frozen=True)
class Programme:
    """A programme, and the answers for its windows."""

    parts: list[programmes.Part]
    vectors: list[FeatureVector]
    heard: list[Heard]


@dataclass(frozen=True)
class Change:
    """A change of the label: where its border lies, when it was announced, and to what."""

    border: float
    announced: float
    label: str


@dataclass(frozen=True)
class Result:
    """How a setting did; seconds, and shares of 0 to 1."""

    now_seconds: float
    change_seconds: float
    right: float
    right_of_music: float
    delay_median: float
    delay_p95: float
    border_median: float
    border_p95: float
    false_changes_an_hour: float
    missed: float


def fit(data: Path) -> Any:
    """Fit the discriminant to the train side [shape=(n, 200)]."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rows = np.load(data / "embeddings" / "gtzan_musicnn_six_seconds.npz")
    train = fault_filtered(data / "splits").train
    side = np.isin(rows["track"], sorted(train))
    X = rows["embedding"][side]
    genres = [str(track).partition(".")[0] for track in rows["track"][side]]
    y = np.repeat([GENRES.index(genre) for genre in genres], X.shape[1])
    prior = np.full(len(GENRES), 1 / len(GENRES))
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1, priors=prior)
    return model.fit(X.reshape(-1, X.shape[-1]), y)


def probabilities(model: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of the genres [shape=(n, 10)]."""
    logits = TEMPERATURE * model.decision_function(X)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def valid_tracks(data: Path) -> dict[str, list[Path]]:
    """Find the tracks of the valid side that are there as audio, by genre."""
    valid = fault_filtered(data / "splits").valid
    found: dict[str, list[Path]] = {}
    for folder in ("audio", "audio_16k"):
        for path in sorted((data / "gtzan" / folder).glob("*/*.*")):
            if path.stem in valid:
                found.setdefault(path.parent.name, []).append(path)
    return found


def extract(parts: Sequence[programmes.Part], recipe: FeatureSet) -> Iterator[FeatureVector]:
    """Yield the vectors of a programme, with content."""
    for window in programmes.windows(parts, recipe.window_seconds):
        yield from feature_vectors("programme", Place("t", 0, 0), window, [recipe], True)


def heard_seldom(vectors: Sequence[FeatureVector], every: int) -> list[FeatureVector]:
    """Return the vectors that an extractor gives that hears one window in so many for content."""
    found: list[FeatureVector] = []
    for vector in vectors:
        before = found[-1].content if found else None
        content = told(vector.window_index, before, every) or vector.content
        found.append(msgspec.structs.replace(vector, content=content))
    return found


def seldom(model: Any, found: Sequence[Programme], every: int) -> Result:
    """Measure the setting that ships on programmes whose content is heard so seldom."""
    changed = [
        Programme(programme.parts, vectors, answers(model, vectors))
        for programme in found
        for vectors in [heard_seldom(programme.vectors, every)]
    ]
    return measure(changed, *SHIPPED)


def halved(programme: Programme) -> Programme:
    """Return a programme of which every second window is heard: a hop of 6 s."""
    return Programme(programme.parts, programme.vectors[::2], programme.heard[::2])


def answers(model: Any, vectors: Sequence[FeatureVector]) -> list[Heard]:
    """Answer for windows as the classifier does, by another head."""
    rows = probabilities(model, np.array([vector.values for vector in vectors], np.float32))
    found = []
    for vector, row in zip(vectors, rows.tolist(), strict=True):
        heard = hear_window(vector, vector.content, row, GENRES, SILENCE_DBFS)
        assert heard
        found.append(heard)
    return found


def play(programme: Programme, rule: Rule) -> tuple[list[tuple[float, float, str]], list[Change]]:
    """Fold a programme; return its segments and the changes of its label."""
    state: NowState | None = None
    segments: list[tuple[float, float, str]] = []
    changes: list[Change] = []
    for vector, heard in zip(programme.vectors, programme.heard, strict=True):
        before, is_new = state, state is None
        state, over = take_in(state, vector, heard, rule, MODEL, is_new=is_new)
        segments += [(s.start_seconds, s.end_seconds, s.label) for s in over]
        assert state
        if before and state.label != before.label:
            border = state.begun.start_ms / 1000
            changes.append(Change(border, vector.end_seconds, state.label))
    assert state
    last = (state.begun.start_ms / 1000, programme.vectors[-1].end_seconds, state.label)
    return [*segments, last], changes


def match(
    parts: Sequence[programmes.Part], changes: Sequence[Change]
) -> tuple[list[tuple[float, float]], int]:
    """Pair each border of the programme with the first change near it.

    Returns
    -------
    Delay and error of the border, of those that have one; and how many changes have none.
    """
    free, found = list(changes), []
    for part in parts[1:]:
        at, end = part.begin / programmes.RATE, part.end / programmes.RATE
        near = [c for c in free if at - NEAR_SECONDS <= c.border < end and c.announced > at]
        near = [c for c in near if abs(c.border - at) <= NEAR_SECONDS or c.label == part.label]
        if near:
            found.append((near[0].announced - at, abs(near[0].border - at)))
            free.remove(near[0])
    return found, len(free)


def right_seconds(
    parts: Sequence[programmes.Part], segments: Sequence[tuple[float, float, str]]
) -> dict[str, float]:
    """Return for how long each label was given where it was right."""
    found: dict[str, float] = {}
    for begin, end, label in segments:
        for part in parts:
            overlap = min(end, part.end / programmes.RATE) - max(
                begin, part.begin / programmes.RATE
            )
            if overlap > 0 and part.label == label:
                found[label] = found.get(label, 0.0) + overlap
    return found


def lengths(parts: Sequence[programmes.Part]) -> dict[str, float]:
    """Return for how long each label sounds."""
    found: dict[str, float] = {}
    for part in parts:
        seconds = (part.end - part.begin) / programmes.RATE
        found[part.label] = found.get(part.label, 0.0) + seconds
    return found


def _music(seconds: dict[str, float]) -> float:
    return sum(value for label, value in seconds.items() if label in GENRES)


def measure(found: Sequence[Programme], now: float, change: float) -> Result:
    """Fold all programmes with one setting."""
    rule = Rule(GENRES, now, change)
    pairs: list[tuple[float, float]] = []
    false = borders = 0
    right = total = music = right_music = 0.0
    for programme in found:
        segments, changes = play(programme, rule)
        near, apart = match(programme.parts, changes)
        pairs, false, borders = [*pairs, *near], false + apart, borders + len(programme.parts) - 1
        seconds = right_seconds(programme.parts, segments)
        heard = lengths(programme.parts)
        right, total = right + sum(seconds.values()), total + sum(heard.values())
        right_music, music = right_music + _music(seconds), music + _music(heard)
    delays, errors = np.array(pairs).T
    return Result(
        now,
        change,
        right / total,
        right_music / music,
        float(np.median(delays)),
        float(np.percentile(delays, 95)),
        float(np.median(errors)),
        float(np.percentile(errors, 95)),
        3600 * false / music,
        1 - len(pairs) / borders,
    )


def track_accuracy(
    model: Any, genres: dict[str, list[Path]], found: Sequence[Programme], recipe: FeatureSet
) -> tuple[float, float]:
    """Return the head's share of right tracks: of all alike, and by how long the parts sound."""
    right: dict[Path, bool] = {}
    for genre, paths in genres.items():
        for path in paths:
            part = programmes.Part(genre, 0, 30 * programmes.RATE, (path,))
            rows = [
                feature_vectors("t", Place("t", 0, 0), window, [recipe], False)[0].values
                for window in programmes.windows([part], recipe.window_seconds)
            ]
            mean = probabilities(model, np.array(rows, np.float32)).mean(axis=0)
            right[path] = GENRES[int(mean.argmax())] == genre
    parts = [p for programme in found for p in programme.parts if p.label in GENRES]
    by_time = np.array(
        [[(p.end - p.begin), np.mean([right[t] for t in p.tracks])] for p in parts], float
    )
    return float(np.mean([*right.values()])), float(
        np.average(by_time[:, 1], weights=by_time[:, 0])
    )


def show(title: str, results: Sequence[Result]) -> None:
    """Print a table; the shipped setting has a star."""
    columns = (
        *("now, change (s)", "right", "of music", "delay", "p95", "border", "p95"),
        *("false/h", "missed"),
    )
    rows = [
        (
            f"{r.now_seconds:g}, {r.change_seconds:g}"
            + (" *" if (r.now_seconds, r.change_seconds) == SHIPPED else ""),
            *(f"{share:.1%}" for share in (r.right, r.right_of_music)),
            *(f"{s:.1f}" for s in (r.delay_median, r.delay_p95, r.border_median, r.border_p95)),
            f"{r.false_changes_an_hour:.2f}",
            f"{r.missed:.1%}",
        )
        for r in results
    ]
    report.show(title, columns, rows)


def main() -> None:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with gtzan, embeddings, splits, open_music")
    parser.add_argument("--hours", type=int, default=8, help="programmes of an hour, of each kind")
    parser.add_argument("--seed", type=int, default=100)
    arguments = parser.parse_args()
    before, recipe = report.machine(), feature_set(FEATURES)
    model, genres = fit(arguments.data), valid_tracks(arguments.data)
    (speech,) = (arguments.data / "open_music").glob("198-*.ogg")
    figures: dict[str, Any] = {}
    for kind, medley in (("songs", False), ("medleys", True)):
        found = []
        for seed in range(arguments.seed, arguments.seed + arguments.hours):
            parts = programmes.compose(genres, speech, 3600.0, seed, medley=medley)
            vectors = list(extract(parts, recipe))
            found.append(Programme(parts, vectors, answers(model, vectors)))
        accuracy = track_accuracy(model, genres, found, recipe)
        settings = [(now, change) for now in NOW for change in CHANGE if change <= now]
        results = [measure(found, *setting) for setting in settings]
        show(
            f"{kind}: the head knows {accuracy[0]:.1%} of the tracks, {accuracy[1]:.1%} by time",
            results,
        )
        rare = {every: seldom(model, found, every) for every in EVERY}
        for every, result in rare.items():
            show(f"{kind}: content of one window in {every}", [result])
        apart = measure([halved(programme) for programme in found], *SHIPPED)
        show(f"{kind}: windows of 3 s every 6 s", [apart])
        figures[kind] = {
            "accuracy": accuracy,
            "results": [asdict(r) for r in results],
            "content_every": {every: asdict(r) for every, r in rare.items()},
            "hop_6": asdict(apart),
        }
    report.write(REPORT, before, figures)


if __name__ == "__main__":
    main()
