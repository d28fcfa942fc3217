"""Score the wider candidates in the folds of the shipped head, and print the table.

    python -m benchmarks.wider_heads.scoring --data DATA --wheel musicnn-0.1.0-py3-none-any.whl \
        --heard heard.npz -o wider.md

``--heard`` keeps what the networks hear (25 minutes on one core), for another run.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.wider_heads import hearing
from benchmarks.wider_heads.hearing import Floats, Heard, Tunable
from benchmarks.wider_heads.tuning import tune
from training.data.artists import read_artists
from training.data.datasets import Dataset, Probabilities
from training.data.heard_tracks import EMBEDDINGS, HeardTracks, read_pairs, whole_tracks
from training.data.splits import Split, fault_filtered
from training.evaluation.rejection import clustered_error
from training.evaluation.scores import track_vote
from training.models.temperature import best_temperature, temper
from training.networks.musicnn_layers import MusiCNN, prune
from training.shipped.candidates import TWO, candidate
from training.shipped.choice import SEEDS, folds

#: Pooled values that scatter less are those of filters without weights: rounding, nothing heard.
VARIES_FROM: Final = 1e-4

#: Probabilities of one way's rows, one array a drawing of the folds.
Runs = list[Probabilities]
#: Fits to the tracks of one side, and answers for all rows: those of the pairs, of the windows.
Answer = Callable[[frozenset[str]], Mapping[str, Probabilities]]


@dataclass(frozen=True, slots=True)
class Room:
    """What candidates are fitted to and scored on.

    Attributes
    ----------
    shipped, pooled, both
        Pairs and windows, of the 200 values, of the pooled ones, of both side by side.
    audio
        Windows of audio by the name of a candidate.
    """

    shipped: HeardTracks
    pooled: HeardTracks
    both: HeardTracks
    audio: Mapping[str, Dataset]
    heard: Heard
    tunable: Tunable
    network: MusiCNN
    split: Split


def fold_pairs(pooled: Floats) -> Floats:
    """Average neighbours as the public rows do: of all means, then of all maxima.

    Parameters
    ----------
    pooled
        [max, mean] a channel [shape=(n, 1506)].

    Returns
    -------
    [shape=(n, 753)]; the one in the middle is of the last mean and the first maximum.
    """
    maxima, means = pooled[:, ::2], pooled[:, 1::2]
    both = np.concatenate([means, maxima], axis=1)
    mean: Floats = both.reshape(len(both), -1, 2).mean(axis=2)
    return mean


def open_room(data: Path, wheel: Path, cache: Path | None) -> Room:
    """Read the public rows, and hear the audio or read what was heard."""
    if cache and cache.exists():
        heard, tunable = hearing.load(cache)
    else:
        heard, tunable = hearing.hear(data, wheel)
        if cache:
            hearing.save(heard, tunable, cache)
    split = fault_filtered(data / "splits")
    artists = read_artists(data / "splits" / "sturm_index.txt")
    pairs = read_pairs(data / EMBEDDINGS, split.fitting)
    with np.load(data / EMBEDDINGS) as arrays:
        order = {str(name): number for number, name in enumerate(arrays["track"])}
        values = arrays["pooled_pairs"].astype(np.float32)
    numbers = [order[track] for track in pairs.tracks.tolist()[:: values.shape[1]]]
    pooled_pairs = values[numbers].reshape(len(pairs), -1)
    varies = pooled_pairs.std(axis=0) > VARIES_FROM
    pooled_pairs, pooled = pooled_pairs[:, varies], fold_pairs(heard.pooled)[:, varies]
    shipped = HeardTracks(pairs, heard.dataset(heard.musicnn), artists)

    def with_values(of_pairs: Floats, *of_windows: Floats) -> HeardTracks:
        names = tuple(f"value_{i}" for i in range(of_pairs.shape[1]))
        return replace(
            shipped,
            pairs=replace(pairs, X=of_pairs, feature_names=names),
            windows=heard.dataset(*of_windows),
        )

    return Room(
        shipped=shipped,
        pooled=with_values(pooled_pairs, pooled),
        both=with_values(np.concatenate([pairs.X, pooled_pairs], 1), heard.musicnn, pooled),
        audio={
            "200": heard.dataset(heard.musicnn),
            "MTT": heard.dataset(heard.mtt),
            "200 + MTT": heard.dataset(heard.musicnn, heard.mtt),
            "CED": heard.dataset(heard.ced),
            "200 + CED": heard.dataset(heard.musicnn, heard.ced),
        },
        heard=heard,
        tunable=tunable,
        network=prune(hearing.read_network(wheel, "MSD_musicnn")),
        split=split,
    )


def logits_mean(*parts: Probabilities) -> Probabilities:
    """Average logits."""
    logarithms = [np.log(np.maximum(part, 1e-300)) for part in parts]
    mean = np.mean(logarithms, axis=0)
    return temper(np.exp(mean - mean.max(axis=1, keepdims=True)), 1.0)


def recipe(heard: HeardTracks, *, audio_alone: bool = False) -> Answer:
    """Return the shipped recipe: two discriminants, one of rows, one of tracks' means.

    With audio alone, its windows are the rows, and nothing is said of the public ones.
    """

    def answer(train: frozenset[str]) -> Mapping[str, Probabilities]:
        side = heard.of_tracks(train)
        models = [c.fit(c.rows(side)) for c in map(candidate, TWO) if c.fit]
        ways = {"windows": heard.windows}
        if not audio_alone:
            ways["pairs"] = heard.pairs
        return {
            way: logits_mean(*(model.predict_proba(rows.X) for model in models))
            for way, rows in ways.items()
        }

    return answer


def tuned(room: Room) -> Answer:
    """Return the tuned network, on windows alone."""
    windows = room.audio["200"]

    def answer(train: frozenset[str]) -> Mapping[str, Probabilities]:
        rows = np.flatnonzero(np.isin(windows.tracks, sorted(train)))
        model = tune(room.network, room.tunable, rows, windows.y[rows])
        return {"windows": model.predict(room.tunable, np.arange(len(windows)))}

    return answer


def in_folds(room: Room, answer: Answer, seeds: Sequence[int]) -> dict[str, Runs]:
    """Answer for every row by fits that know no track of the same artist."""
    ways = {"pairs": room.shipped.pairs, "windows": room.shipped.windows}
    runs: dict[str, Runs] = {way: [] for way in ways}
    for seed in seeds:
        found = {way: np.zeros((len(rows), len(rows.labels))) for way, rows in ways.items()}
        for train, test in folds(room.shipped, seed):
            for way, probabilities in answer(train).items():
                here = np.isin(ways[way].tracks, sorted(test))
                found[way][here] = probabilities[here]
        for way in ways:
            runs[way].append(found[way])
    return runs


@dataclass(frozen=True, slots=True)
class Result:
    """What a candidate reaches.

    Attributes
    ----------
    right
        Share of right answers for each track [shape=(m,)].
    groups
        Artist of each of those.
    least
        Share of right answers of the worst genre, and its name.
    valid
        Right tracks of the valid side, fitted to train alone, and how many there are.
    """

    right: NDArray[np.float64]
    groups: NDArray[np.str_]
    least: tuple[float, str]
    valid: tuple[int, int]


def _rights(data: Dataset, runs: Runs) -> NDArray[np.float64]:
    voted = [track_vote(data.y, run, data.tracks) for run in runs]
    shares: NDArray[np.float64] = np.mean([p.argmax(axis=1) == y for y, p in voted], axis=0)
    return shares


def _least(data: Dataset, runs: Runs) -> tuple[float, str]:
    right = _rights(data, runs)
    genres = np.array([track.split(".")[0] for track in data.track_rows])
    return min((float(right[genres == genre].mean()), str(genre)) for genre in np.unique(genres))


def result(room: Room, runs: Mapping[str, Runs], valid: Mapping[str, Probabilities]) -> Result:
    """Score answers in folds, in the ways that there are, and those on valid."""
    windows, pairs = room.shipped.windows, room.shipped.pairs
    whole = np.isin(windows.tracks, sorted(whole_tracks(windows)))
    of_whole = windows.rows(np.flatnonzero(whole))
    ways = [(of_whole, [run[whole] for run in runs["windows"]])]
    with_pairs = any(run.any() for run in runs.get("pairs", []))
    if with_pairs:
        ways.insert(0, (pairs, runs["pairs"]))
    temperature = best_temperature([(data, run) for data, of in ways for run in of])
    ways = [(data, [temper(run, temperature) for run in of]) for data, of in ways]
    tracks = [track for data, _ in ways for track in data.track_rows]
    least_of = pairs if with_pairs else windows
    least_runs = [temper(run, temperature) for run in runs["pairs" if with_pairs else "windows"]]
    way = pairs if with_pairs else of_whole
    found = valid["pairs"] if with_pairs else valid["windows"][whole]
    side = np.isin(way.tracks, sorted(room.split.valid))
    on_valid = _rights(way.rows(np.flatnonzero(side)), [temper(found[side], temperature)])
    return Result(
        np.concatenate([_rights(data, of) for data, of in ways]),
        room.shipped.groups(tracks),
        _least(least_of, least_runs),
        (int(on_valid.sum()), len(on_valid)),
    )


def windows_alone(runs: Mapping[str, Runs]) -> dict[str, Runs]:
    """Leave out the public rows."""
    return {"windows": runs["windows"]}


def mean_of(
    one: Mapping[str, Runs], other: Mapping[str, Runs], ways: Sequence[str]
) -> dict[str, Runs]:
    """Average the logits of two candidates in some ways."""
    return {
        way: [logits_mean(*both) for both in zip(one[way], other[way], strict=True)] for way in ways
    }


_HEADER: Final = """\
| candidate | scored on | score | compared with | gain | worst genre | valid, fitted on train |
|---|---|---|---|---|---|---|"""


def _row(name: str, where: str, of: Result, with_name: str, base: Result) -> str:
    gain = of.right - base.right
    share, genre = of.least
    right, count = of.valid
    return (
        f"| {name} | {where} | {of.right.mean():.1%} ± {clustered_error(of.right, of.groups):.1%} "
        f"| {with_name} | {100 * gain.mean():+.1f} ± {100 * clustered_error(gain, of.groups):.1f} "
        f"| {genre} {share:.0%} | {right} of {count}, {right / count:.1%} |"
    )


class Table:
    """Answers of the candidates, each made once, and the rows of the table."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.lines = [_HEADER]
        self.folds: dict[str, dict[str, Runs]] = {}
        self.valid: dict[str, dict[str, Runs]] = {}

    def make(self, name: str, answer: Answer, seeds: Sequence[int] = SEEDS) -> None:
        """Answer in folds, and for valid by a fit to train alone."""
        self.folds[name] = in_folds(self.room, answer, seeds)
        self.valid[name] = {way: [p] for way, p in answer(self.room.split.train).items()}

    def mean(self, name: str, one: str, other: str, ways: Sequence[str]) -> None:
        """Average two candidates."""
        self.folds[name] = mean_of(self.folds[one], self.folds[other], ways)
        self.valid[name] = mean_of(self.valid[one], self.valid[other], ways)

    def alone(
        self, name: str, new: str, seeds: int = len(SEEDS), *, tempered: bool = False
    ) -> None:
        """Take the windows and some drawings of a candidate for another one."""
        runs, valid = self.folds[name]["windows"][:seeds], self.valid[name]["windows"]
        if tempered:
            windows = self.room.shipped.windows
            factor = best_temperature([(windows, run) for run in runs])
            runs = [temper(run, factor) for run in runs]
            valid = [temper(run, factor) for run in valid]
        self.folds[new], self.valid[new] = {"windows": runs}, {"windows": valid}

    def show(self, name: str, where: str, base: str) -> None:
        """Add the row of a candidate, and print it."""
        both = [
            result(self.room, self.folds[n], {w: r[0] for w, r in self.valid[n].items()})
            for n in (name, base)
        ]
        self.lines.append(_row(name, where, both[0], base, both[1]))
        print(self.lines[-1], flush=True)  # noqa: T201


_BOTH: Final = "rows and windows"
_ALONE: Final = "windows"


def score_all(room: Room) -> Table:
    """Score the candidates as they are listed in `benchmarks.wider_heads`."""
    table = Table(room)
    table.make("shipped", recipe(room.shipped))
    table.show("shipped", _BOTH, "shipped")
    for name, heard in (("pooled", room.pooled), ("200 + pooled", room.both)):
        table.make(name, recipe(heard))
        table.show(name, _BOTH, "shipped")
    table.mean("mean of 200 and pooled", "shipped", "pooled", ("pairs", "windows"))
    table.show("mean of 200 and pooled", _BOTH, "shipped")
    for name, windows in room.audio.items():
        rows = replace(room.shipped, pairs=windows, windows=windows)
        table.make(name, recipe(rows, audio_alone=True))
        table.show(name, _ALONE, "200")
    table.alone("shipped", "shipped, windows")
    table.mean("mean of shipped and CED", "shipped, windows", "CED", ("windows",))
    table.show("mean of shipped and CED", _ALONE, "shipped, windows")
    _score_tuned(table)
    return table


def _score_tuned(table: Table) -> None:
    table.make("tuned", tuned(table.room), SEEDS[:1])
    table.alone("200", "200, once", 1)
    table.show("tuned", "windows, once", "200, once")
    table.alone("shipped", "shipped, once", 1, tempered=True)
    table.alone("tuned", "tuned, tempered", 1, tempered=True)
    table.mean("mean of shipped and tuned", "shipped, once", "tuned, tempered", ("windows",))
    table.show("mean of shipped and tuned", "windows, once", "shipped, once")


def main() -> None:
    """Score, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--heard", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    table = score_all(open_room(arguments.data, arguments.wheel, arguments.heard))
    arguments.output.write_text("\n".join(table.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
