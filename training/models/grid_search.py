"""Grid search: every combination of a grid, scored on tracks apart from the fitted ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.data.datasets import Dataset, Rows, check_trainable
from training.data.splits import Split, check, k_folds
from training.models.estimators import Grid, estimator_kind

if TYPE_CHECKING:
    import pandas as pd

#: Folds where a split has no valid side.
N_FOLDS: Final = 5


def search(
    name: str, data: Dataset, split: Split, seed: int, grid: Grid | None = None
) -> tuple[Mapping[str, Any], "pd.DataFrame"]:
    """Try the grid of an estimator; the test side is not looked at.

    Parameters
    ----------
    name
        Of an estimator.
    data, split
        Fitted on ``train`` and scored on ``valid``, or, where that is empty, by 5 folds of
        ``train`` that keep recordings together.
    seed
        Of estimators and folds.
    grid
        In place of the kind's own.

    Returns
    -------
    parameters
        The best.
    table
        All combinations, the best first: parameters, mean accuracy and its spread.
    """
    import pandas as pd
    from sklearn.model_selection import GridSearchCV

    check(split, data)
    rows = data.of_tracks(split.fitting)
    check_trainable(rows, f"the training side of {split.name}")
    kind = estimator_kind(name)
    searched = GridSearchCV(
        kind.build(seed),
        {key: list(values) for key, values in (grid or kind.grid).items()},
        scoring="accuracy",
        cv=_folds(rows, split, seed),
        refit=False,
        error_score="raise",
    ).fit(rows.X, rows.y)
    results = searched.cv_results_
    table = pd.DataFrame(list(results["params"]), dtype=object)
    table["accuracy"] = results["mean_test_score"]
    table["spread"] = results["std_test_score"]
    ranked = table.sort_values("accuracy", ascending=False, kind="stable")
    return searched.best_params_, ranked.reset_index(drop=True)


def _folds(rows: Dataset, split: Split, seed: int) -> list[tuple[Rows, Rows]]:
    if split.valid:
        return [_indices(rows, split.train, split.valid)]
    return [_indices(rows, fold.train, fold.test) for fold in k_folds(rows, N_FOLDS, seed)]


def _indices(rows: Dataset, train: frozenset[str], test: frozenset[str]) -> tuple[Rows, Rows]:
    return (
        np.flatnonzero(np.isin(rows.tracks, sorted(train))),
        np.flatnonzero(np.isin(rows.tracks, sorted(test))),
    )
