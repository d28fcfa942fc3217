"""How candidates are scored and one of them chosen; see `training.shipped.candidates`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import Dataset, Probabilities
from training.data.heard_tracks import HeardTracks, whole_tracks
from training.evaluation.scores import track_vote
from training.models.temperature import best_temperature, temper
from training.shipped.candidates import Candidate

N_FOLDS: Final = 5
#: Folds are drawn anew with each of these.
SEEDS: Final = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Answers:
    """Probabilities by a model that knows no track of the same artist.

    Attributes
    ----------
    pairs, windows
        Of the rows of `HeardTracks`, one array a repetition [shape=(n, K) each].
    """

    pairs: tuple[Probabilities, ...]
    windows: tuple[Probabilities, ...]

    def tempered(self, temperature: float) -> "Answers":
        """Return the answers with their logits times `temperature`."""
        return Answers(
            tuple(temper(p, temperature) for p in self.pairs),
            tuple(temper(p, temperature) for p in self.windows),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a candidate reaches in the folds.

    Attributes
    ----------
    name
        Of the candidate.
    temperature
        Chosen on these answers: one number for all of them.
    right
        Share of right answers for each track in each way [shape=(m,)], over the repetitions.
    groups
        Artist of each of those [shape=(m,)].
    """

    name: str
    temperature: float
    right: NDArray[np.float64]
    groups: NDArray[np.str_]

    @property
    def score(self) -> float:
        """Share of right answers."""
        return float(self.right.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the score, artists being what is drawn."""
        return clustered_error(self.right, self.groups)


def artist_groups(tracks: Sequence[str], artists: Mapping[str, str]) -> NDArray[np.str_]:
    """Name what must stay on one side: the artist, or all tracks of a genre without a known one."""
    return np.array([artists.get(t, f"{t.split('.')[0]}, unknown artist") for t in tracks])


def folds(
    data: Dataset, artists: Mapping[str, str], seed: int
) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Divide the tracks into folds of like genres, no artist in two; give train and test tracks."""
    from sklearn.model_selection import StratifiedGroupKFold

    names = np.array(list(data.track_rows))
    y = np.array([data.y[rows[0]] for rows in data.track_rows.values()])
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    for train, test in splitter.split(y, y, artist_groups(names.tolist(), artists)):
        yield frozenset(names[train].tolist()), frozenset(names[test].tolist())


def answer(
    candidate: Candidate,
    heard: HeardTracks,
    artists: Mapping[str, str],
    seeds: Sequence[int] = SEEDS,
) -> Answers:
    """Answer for every row by models fitted to the tracks of other artists."""
    runs = [_answer_once(candidate, heard, artists, seed) for seed in seeds]
    return Answers(tuple(pairs for pairs, _ in runs), tuple(windows for _, windows in runs))


def _answer_once(
    candidate: Candidate, heard: HeardTracks, artists: Mapping[str, str], seed: int
) -> tuple[Probabilities, Probabilities]:
    assert candidate.fit is not None
    ways = (heard.pairs, heard.windows)
    pairs, windows = (np.zeros((len(data), len(data.labels))) for data in ways)
    for train, test in folds(heard.pairs, artists, seed):
        model = candidate.fit(candidate.rows(heard.of_tracks(train)))
        for data, found in zip(ways, (pairs, windows), strict=True):
            rows = np.isin(data.tracks, sorted(test))
            if rows.any():
                found[rows] = model.predict_proba(data.X[rows])
    return pairs, windows


def mean_of(answers: Sequence[Answers]) -> Answers:
    """Average the probabilities of several candidates."""
    return Answers(
        tuple(np.mean(runs, axis=0) for runs in zip(*(a.pairs for a in answers), strict=True)),
        tuple(np.mean(runs, axis=0) for runs in zip(*(a.windows for a in answers), strict=True)),
    )


def outcome(
    name: str, answers: Answers, heard: HeardTracks, artists: Mapping[str, str]
) -> Outcome:
    """Choose the temperature of a candidate's answers, and score them."""
    ways = [*_ways(heard.pairs, answers.pairs), *_ways(heard.windows, answers.windows)]
    temperature = best_temperature(ways)
    tempered = answers.tempered(temperature)
    whole = heard.windows.of_tracks(whole_tracks(heard.windows))
    rows = np.isin(heard.windows.tracks, sorted(whole.track_rows))
    parts = [
        (heard.pairs, tempered.pairs),
        (whole, tuple(run[rows] for run in tempered.windows)),
    ]
    right = [right_tracks(data, runs) for data, runs in parts]
    tracks = [track for data, _ in parts for track in data.track_rows]
    return Outcome(name, temperature, np.concatenate(right), artist_groups(tracks, artists))


def _ways(
    data: Dataset, runs: Sequence[Probabilities]
) -> Iterator[tuple[Dataset, Probabilities]]:
    return ((data, run) for run in runs)


def right_tracks(data: Dataset, runs: Sequence[Probabilities]) -> NDArray[np.float64]:
    """Return for each track the share of the repetitions that are right [shape=(m,)]."""
    right = []
    for run in runs:
        y, voted = track_vote(data.y, run, data.tracks)
        right.append(voted.argmax(axis=1) == y)
    shares: NDArray[np.float64] = np.mean(right, axis=0)
    return shares


def clustered_error(values: NDArray[np.float64], groups: NDArray[np.str_]) -> float:
    """Return the standard error of a mean whose values come in groups."""
    _, inverse = np.unique(groups, return_inverse=True)
    sums = np.bincount(inverse, weights=values - values.mean())
    return float(np.sqrt(np.square(sums).sum()) / len(values))


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates' outcomes, the best of them, and the one that is chosen."""

    outcomes: tuple[Outcome, ...]
    best: Outcome
    chosen: Outcome


def choose(outcomes: Sequence[Outcome]) -> Choice:
    """Choose the plainest (first) whose score is within one standard error of the best one's."""
    best = max(outcomes, key=lambda o: o.score)
    near = (o for o in outcomes if best.score - o.score <= error_of_difference(best, o))
    return Choice(tuple(outcomes), best, next(near))


def error_of_difference(one: Outcome, other: Outcome) -> float:
    """Return the standard error of the difference of two scores on the same tracks."""
    return clustered_error(one.right - other.right, one.groups)


def compare(
    candidates: Sequence[Candidate],
    heard: HeardTracks,
    artists: Mapping[str, str],
    on_step: Callable[[str], None] = lambda _: None,
) -> Choice:
    """Score all candidates in the same folds, and choose one."""
    answers: dict[str, Answers] = {}
    outcomes = []
    for candidate in candidates:
        on_step(candidate.name)
        if candidate.members:
            answers[candidate.name] = mean_of([answers[name] for name in candidate.members])
        else:
            answers[candidate.name] = answer(candidate, heard, artists)
        outcomes.append(outcome(candidate.name, answers[candidate.name], heard, artists))
    return choose(outcomes)
