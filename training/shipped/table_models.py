"""The models that ship in ``models/``: how each is made again from the tables.

All are fitted on the train side of the fault-filtered split alone. So the test score of a card is
of that very file, and the valid side, whose audio is at hand, shows that the service on audio
agrees with the table.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.data.artists import read_artists
from training.data.datasets import Dataset, join
from training.data.splits import Split, fault_filtered, random_split
from training.data.tables import load_table
from training.errors import ExportError
from training.evaluation.onnx_evaluation import parse_model
from training.models.fitting import Fitted, fit, to_file
from training.shipped.cards import card

SEED: Final = 0
#: Day of the shipped files: made again from the same data they have the same bytes.
CREATED: Final = "2026-11-22"
#: Random splits averaged in a card.
N_RANDOM_SPLITS: Final = 5
MAX_BYTES: Final = 5_000_000

_WHOLE: Final = "gtzan_features_30_sec.csv"
_THIRDS: Final = "gtzan_features_10_sec.csv"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One shipped model.

    Attributes
    ----------
    estimator
        Its recipe.
    feature_set
        Which features it takes.
    summary, rows
        For its card: what it is, what the rows of its tables cover.
    tables
        Tables in the data folder that it is fitted to.
    by_artist
        Whether rows are weighed by artist.
    """

    estimator: str
    feature_set: str
    summary: str
    rows: str = "whole 30 s excerpts"
    tables: tuple[str, ...] = (_WHOLE,)
    by_artist: bool = False

    @property
    def name(self) -> str:
        """Name of the file, without suffix."""
        return f"{self.estimator}-{self.feature_set}"


SHIPPED: Final = (
    Shipped(
        "mlp",
        "seed-25",
        "The study's network on its 25 means: dense 256, 128, 64, dropout 0.2, 250 epochs, batch "
        "256.\nIt is overconfident: see its ECE.",
    ),
    Shipped(
        "random-forest",
        "seed-25",
        "The study's random forest on its 25 means: 70 trees, min_samples_split 3.",
    ),
    Shipped(
        "extra-trees",
        "seed-25",
        "The study's extra trees on its 25 means: 50 trees, min_samples_split 4.",
    ),
    Shipped(
        "discriminant",
        "librosa-52",
        "The best of the hand-crafted features: one Gaussian a genre with regularised covariance\n"
        "(Friedman 1989), features that are never negative to the power 0.2, rows weighed by "
        "artist.",
        rows="whole 30 s excerpts and their 10 s thirds",
        tables=(_WHOLE, _THIRDS),
        by_artist=True,
    ),
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
    tables = [data_folder / "tables" / name for name in shipped.tables]
    data = join([load_table(table, shipped.feature_set) for table in tables])
    splits = data_folder / "splits"
    fitted = _fit(shipped, data, fault_filtered(splits), SEED, splits)
    accuracies = [
        _fit(shipped, data, random_split(data, seed), seed, splits).scores.accuracy
        for seed in range(N_RANDOM_SPLITS)
    ]
    figures = {
        "fault_filtered_accuracy": fitted.scores.accuracy,
        "fault_filtered_macro_f1": fitted.scores.macro_f1,
        "fault_filtered_ece": fitted.scores.ece,
        "random_split_accuracy": sum(accuracies) / len(accuracies),
    }
    file = to_file(fitted, created, figures)
    _check_size(shipped.name, file)
    text = card(
        parse_model(file, shipped.name).metadata,
        file,
        fitted,
        summary=shipped.summary,
        rows=shipped.rows,
        random_accuracies=accuracies,
    )
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{shipped.name}.onnx").write_bytes(file)
    (output / f"{shipped.name}.md").write_text(text, encoding="utf-8")
    return fitted


def _fit(shipped: Shipped, data: Dataset, split: Split, seed: int, splits: Path) -> Fitted:
    artists = read_artists(splits / "sturm_index.txt") if shipped.by_artist else None
    return fit(shipped.estimator, data, split, seed, keep_valid=True, artists=artists)


def _check_size(name: str, file: bytes) -> None:
    if len(file) > MAX_BYTES:
        raise ExportError(
            f"{name} has {len(file)} bytes, at most {MAX_BYTES} ship: prune it by min_samples_leaf"
        )
