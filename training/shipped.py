"""The models that ship in ``models/``: how each is made again from the tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from training.cards import card
from training.datasets import Dataset
from training.evaluation import parse_model
from training.fitting import Fitted, fit, to_file
from training.splits import fault_filtered, random_split
from training.tables import load_table

SEED: Final = 0
#: Random splits averaged in a card.
N_RANDOM_SPLITS: Final = 5
MAX_BYTES: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Shipped:
    """One shipped model.

    Attributes
    ----------
    estimator
        Its recipe.
    feature_set
        Which features it takes.
    table
        The table in the data folder that it is fitted to.
    summary, rows
        For its card: what it is, what a row of the table covers.
    parameters
        In place of the recipe's own.
    """

    estimator: str
    feature_set: str
    table: str
    summary: str
    rows: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the file, without suffix."""
        return f"{self.estimator}-{self.feature_set}"


SHIPPED: Final = tuple(
    Shipped(
        estimator,
        "seed-25",
        "gtzan_features_30_sec.csv",
        f"{summary} on the study's 25 means.",
        "whole 30 s excerpts",
    )
    for estimator, summary in {
        "extra-trees": "The study's extra trees (50 trees, min_samples_split 4)",
    }.items()
)


def make(shipped: Shipped, data_folder: Path, output: Path, created: str) -> Fitted:
    """Fit, export and write one model and its card.

    Parameters
    ----------
    shipped
        Which one.
    data_folder
        Holds ``tables/`` and ``splits/``.
    output
        Folder for ``NAME.onnx`` and ``NAME.md``.
    created
        ISO 8601 date.
    """
    data = load_table(data_folder / "tables" / shipped.table, shipped.feature_set)
    split = fault_filtered(data_folder / "splits")
    fitted = fit(shipped.estimator, data, split, SEED, shipped.parameters)
    accuracies = random_accuracies(shipped, data)
    figures = {
        "fault_filtered_accuracy": fitted.scores.accuracy,
        "fault_filtered_macro_f1": fitted.scores.macro_f1,
        "fault_filtered_ece": fitted.scores.ece,
        "random_split_accuracy": sum(accuracies) / len(accuracies),
    }
    file = to_file(fitted, created, figures)
    if len(file) > MAX_BYTES:
        raise AssertionError(f"{shipped.name} has {len(file)} bytes, at most {MAX_BYTES}: prune it")
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{shipped.name}.onnx").write_bytes(file)
    text = card(
        parse_model(file, shipped.name).metadata,
        file,
        fitted,
        summary=shipped.summary,
        rows=shipped.rows,
        random_accuracies=accuracies,
    )
    (output / f"{shipped.name}.md").write_text(text, encoding="utf-8")
    return fitted


def random_accuracies(shipped: Shipped, data: Dataset) -> list[float]:
    """Refit on random splits and return the accuracy of each by track."""
    return [
        fit(
            shipped.estimator, data, random_split(data, seed), seed, shipped.parameters
        ).scores.accuracy
        for seed in range(N_RANDOM_SPLITS)
    ]
