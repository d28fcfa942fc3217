"""How candidates are scored and one of them is chosen; see `training.shipped.candidates`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import Probabilities
from training.data.heard_tracks import HeardTracks, whole_tracks
from training.errors import DataError
from training.evaluation.rejection import clustered_error
from training.evaluation.scores import track_vote
from training.models.temperature import Run, best_temperature, temper
from training.shipped.candidates import Candidate

N_FOLDS: Final = 10
#: Folds are drawn anew with each of these.
SEEDS: Final = (0, 1, 2)
#: What a candidate must find of every genre.
LEAST_RECALL: Final = 0.7


@dataclass(frozen=True, slots=True)
class Answers:
    """Probabilities by models that know no track of the same artist.

    Attributes
    ----------
    pairs, windows
        Of the rows of `HeardTracks`, one array a repetition [shape=(n, K) each].
    """

    pairs: tuple[Probabilities, ...]
    windows: tuple[Probabilities, ...]

    def map(self, change: Callable[[Probabilities], Probabilities]) -> "Answers":
        """Return the answers with each array changed."""
        return Answers(tuple(map(change, self.pairs)), tuple(map(change, self.windows)))

    def whole(self, heard: HeardTracks) -> "tuple[list[Run], list[Run]]":
        """Return rows with answers: of the pairs, and of windows where whole tracks are at hand."""
        whole = np.isin(heard.windows.tracks, sorted(whole_tracks(heard.windows)))
        windows = heard.windows.rows(np.flatnonzero(whole))
        return (
            [(heard.pairs, run) for run in self.pairs],
            [(windows, run[whole]) for run in self.windows],
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a candidate reaches in the folds.

    Attributes
    ----------
    candidate
        Which one.
    temperature
        Chosen on these answers: one number for all of them.
    right
        Share of right answers for each track in each way [shape=(m,)], over the repetitions.
    groups
        Artist of each of those [shape=(m,)].
    least_recall
        Share of right answers for the pairs' tracks of the worst genre.
    """

    candidate: Candidate
    temperature: float
    right: NDArray[np.float64]
    groups: NDArray[np.str_]
    least_recall: float

    @property
    def score(self) -> float:
        """Share of right answers."""
        return float(self.right.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the score, artists being what is drawn."""
        return clustered_error(self.right, self.groups)


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates' outcomes, the best of them, and the one that is chosen."""

    outcomes: tuple[Outcome, ...]
    best: Outcome
    chosen: Outcome


def folds(heard: HeardTracks, seed: int) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Divide the tracks into folds of like genres, no artist in two; give train and test tracks."""
    from sklearn.model_selection import StratifiedGroupKFold

    rows = heard.pairs.track_rows
    names = np.array(list(rows))
    y = heard.pairs.y[[r[0] for r in rows.values()]]
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    for train, test in splitter.split(y, y, heard.groups(names.tolist())):
        yield frozenset(names[train].tolist()), frozenset(names[test].tolist())


def answer(
    candidate: Candidate,
    heard: HeardTracks,
    seeds: Sequence[int] = SEEDS,
    drawn_from: HeardTracks | None = None,
) -> Answers:
    """Answer for every row by models fitted to the tracks of other artists.

    Parameters
    ----------
    candidate, heard
        What is fitted to what.
    seeds
        Of the folds, drawn once with each.
    drawn_from
        Whose tracks the folds divide, where not those of `heard`.
    """
    draws = [list(folds(drawn_from or heard, seed)) for seed in seeds]
    runs = [_answer_once(candidate, heard, draw) for draw in draws]
    return Answers(tuple(pairs for pairs, _ in runs), tuple(windows for _, windows in runs))


def _answer_once(
    candidate: Candidate, heard: HeardTracks, draw: Sequence[tuple[frozenset[str], frozenset[str]]]
) -> tuple[Probabilities, Probabilities]:
    if candidate.fit is None:
        raise DataError(f"{candidate.name} is a mean of others: answer by them")
    ways = (heard.pairs, heard.windows)
    pairs, windows = (np.zeros((len(data), len(data.labels))) for data in ways)
    for train, test in draw:
        model = candidate.fit(candidate.rows(heard.of_tracks(train)))
        for data, found in zip(ways, (pairs, windows), strict=True):
            rows = np.isin(data.tracks, sorted(test))
            if rows.any():
                found[rows] = model.predict_proba(data.X[rows])
    return pairs, windows


def mean_of(members: Sequence[Answers], *, logits: bool) -> Answers:
    """Average the probabilities of several candidates, or their logits."""
    return Answers(
        tuple(_mean(runs, logits) for runs in zip(*(a.pairs for a in members), strict=True)),
        tuple(_mean(runs, logits) for runs in zip(*(a.windows for a in members), strict=True)),
    )


def _mean(runs: Sequence[Probabilities], logits: bool) -> Probabilities:
    if not logits:
        mean: Probabilities = np.mean(runs, axis=0)
        return mean
    means = np.mean([np.log(np.maximum(run, np.finfo(float).tiny)) for run in runs], axis=0)
    return temper(np.exp(means - means.max(axis=1, keepdims=True)), 1.0)


def outcome(candidate: Candidate, answers: Answers, heard: HeardTracks) -> Outcome:
    """Choose the temperature of a candidate's answers, and score them."""
    pairs, windows = answers.whole(heard)
    temperature = best_temperature([*pairs, *windows])
    parts = answers.map(lambda run: temper(run, temperature)).whole(heard)
    right = [right_tracks(runs) for runs in parts]
    tracks = [track for runs in parts for track in runs[0][0].track_rows]
    genres = np.array([track.split(".")[0] for track in heard.pairs.track_rows])
    least = min(float(right[0][genres == genre].mean()) for genre in np.unique(genres))
    groups = heard.groups(tracks)
    return Outcome(candidate, temperature, np.concatenate(right), groups, least)


def right_tracks(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Return for each track the share of the repetitions that are right [shape=(m,)]."""
    voted = [track_vote(data.y, run, data.tracks) for data, run in runs]
    shares: NDArray[np.float64] = np.mean([p.argmax(axis=1) == y for y, p in voted], axis=0)
    return shares


def error_of_difference(one: Outcome, other: Outcome) -> float:
    """Return the standard error of the difference of two scores on the same tracks."""
    return clustered_error(one.right - other.right, one.groups)


def choose(outcomes: Sequence[Outcome]) -> Choice:
    """Choose the plainest that is within one standard error of the best, by score where alike."""
    able = [o for o in outcomes if o.least_recall >= LEAST_RECALL]
    if not able:
        raise DataError(f"no candidate finds {LEAST_RECALL:.0%} of every genre: add tracks")
    best = max(able, key=lambda o: o.score)
    near = [o for o in able if best.score - o.score <= error_of_difference(best, o)]
    return Choice(tuple(outcomes), best, min(near, key=lambda o: (o.candidate.plainness, -o.score)))


def answer_all(
    candidates: Sequence[Candidate],
    heard: HeardTracks,
    on_step: Callable[[str], None] = lambda _: None,
    drawn_from: HeardTracks | None = None,
) -> dict[str, Answers]:
    """Answer by all candidates in the same folds; means come after their members.

    The folds divide the tracks of `drawn_from`, by default those of `heard`.
    """
    answers: dict[str, Answers] = {}
    for candidate in sorted(candidates, key=lambda c: bool(c.members)):
        on_step(candidate.name)
        answers[candidate.name] = (
            mean_of([answers[name] for name in candidate.members], logits=candidate.logits)
            if candidate.members
            else answer(candidate, heard, drawn_from=drawn_from)
        )
    return answers
