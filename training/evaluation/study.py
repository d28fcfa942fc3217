"""The study repeated: its three models by its own protocol, and by those that do not flatter."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from training.data.datasets import Dataset
from training.data.splits import Split, artist_folds, fault_filtered, study_split
from training.data.tables import load_table
from training.evaluation import plots, report
from training.evaluation.onnx_evaluation import Evaluation, evaluate, parse_model
from training.models.estimators import STUDY_MODELS
from training.models.fitting import Fitted, fit, impurity_importances, to_file
from training.models.grid_search import search as grid_search

#: Means of whole tracks, as the study stored them.
TABLE: Final = "gtzan_tutorial_26.csv"
FEATURE_SET: Final = "seed-25"
#: Seeds of the estimator on the fault-filtered split, whose sides are fixed.
N_FIXED_SEEDS: Final = 5
#: Accuracies that others published for random splits of these means.
PUBLISHED_RANGE: Final = (0.62, 0.72)
N_TOP: Final = 5


class Published(msgspec.Struct, frozen=True):
    """What the study found of a model: F1 of its best and worst genre, top five features."""

    best: tuple[str, float]
    worst: tuple[str, float]
    top: tuple[str, ...]


PUBLISHED: Final = {
    "mlp": Published(("classical", 0.96), ("hiphop", 0.40), ()),
    "random-forest": Published(
        ("classical", 0.96),
        ("rock", 0.38),
        ("chroma_stft", "mfcc4", "mfcc1", "spectral_bandwidth", "mfcc9"),
    ),
    "extra-trees": Published(
        ("classical", 0.82),
        ("rock", 0.44),
        ("chroma_stft", "mfcc1", "mfcc4", "spectral_centroid", "spectral_bandwidth"),
    ),
}


class Protocol(msgspec.Struct, frozen=True):
    """Figures of a model by one protocol, over seeds or folds.

    Attributes
    ----------
    accuracies
        One a seed or fold.
    ece
        Mean.
    f1
        Mean by genre.
    """

    accuracies: tuple[float, ...]
    ece: float
    f1: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Mean accuracy."""
        return float(np.mean(self.accuracies))

    @property
    def best(self) -> tuple[str, float]:
        """Genre of the highest mean F1."""
        return max(self.f1.items(), key=lambda item: item[1])

    @property
    def worst(self) -> tuple[str, float]:
        """Genre of the lowest mean F1."""
        return min(self.f1.items(), key=lambda item: item[1])


class ModelStudy(msgspec.Struct, frozen=True):
    """Everything of one model.

    Attributes
    ----------
    random, honest, artists
        By the study's random split, the fault-filtered split and the artist folds.
    worst_by_seed
        How often each genre was the worst of a random split.
    top
        The five features of the largest mean impurity importance over the random splits.
    search
        The first rows of the grid search on the first random split's training side.
    evaluations
        Seed 0 of the random and of the fault-filtered split.
    history
        Of the network, with watched rows.
    """

    name: str
    random: Protocol
    honest: Protocol
    artists: Protocol
    worst_by_seed: dict[str, int]
    top: tuple[str, ...]
    search: tuple[dict[str, Any], ...]
    evaluations: tuple[Evaluation, Evaluation]
    history: dict[str, list[float]]


def repeat(
    folder: Path,
    *,
    seeds: int,
    network_seeds: int,
    search: bool,
    on_step: Callable[[str], None],
) -> list[ModelStudy]:
    """Repeat the study on the tables and splits of a data folder.

    Parameters
    ----------
    folder
        Holds ``tables/`` and ``splits/``.
    seeds, network_seeds
        Random splits of the forests and of the network.
    search
        Whether to repeat the forests' grid search.
    on_step
        Told what comes next.
    """
    data = load_table(folder / "tables" / TABLE, FEATURE_SET)
    fixed, folds = fault_filtered(folder / "splits"), artist_folds(folder / "splits")
    studies = []
    for name in STUDY_MODELS:
        n_seeds = network_seeds if name == "mlp" else seeds
        on_step(f"{name}: {n_seeds} random splits")
        random = [fit(name, data, study_split(data, seed), seed) for seed in range(n_seeds)]
        on_step(f"{name}: fault-filtered split")
        honest = [fit(name, data, fixed, seed) for seed in range(min(n_seeds, N_FIXED_SEEDS))]
        on_step(f"{name}: artist folds")
        artists = [fit(name, data, fold, 0) for fold in folds]
        on_step(f"{name}: report")
        studies.append(_study_model(name, data, random, honest, artists, search))
    return studies


def _study_model(
    name: str,
    data: Dataset,
    random: Sequence[Fitted],
    honest: Sequence[Fitted],
    artists: Sequence[Fitted],
    search: bool,
) -> ModelStudy:
    first, fixed = random[0], honest[0]
    return ModelStudy(
        name=name,
        random=_protocol(random),
        honest=_protocol(honest),
        artists=_protocol(artists),
        worst_by_seed=dict(Counter(fitted.scores.worst.label for fitted in random)),
        top=_top_features(random),
        search=_search(name, data) if search and name != "mlp" else (),
        evaluations=(_evaluation(first, data), _evaluation(fixed, data)),
        history=_watched_history(data, fixed) if name == "mlp" else {},
    )


def _protocol(fits: Sequence[Fitted]) -> Protocol:
    f1 = np.mean([[genre.f1 for genre in fitted.scores.genres] for fitted in fits], axis=0)
    return Protocol(
        tuple(fitted.scores.accuracy for fitted in fits),
        float(np.mean([fitted.scores.ece for fitted in fits])),
        dict(zip(fits[0].fitting.labels, f1.tolist(), strict=True)),
    )


def _top_features(fits: Sequence[Fitted]) -> tuple[str, ...]:
    importances = [impurity_importances(fitted.estimator) for fitted in fits]
    if any(values is None for values in importances):
        return ()
    ranked = np.argsort(-np.mean(np.array(importances, float), axis=0))[:N_TOP]
    return tuple(fits[0].fitting.feature_names[i] for i in ranked)


def _search(name: str, data: Dataset) -> tuple[dict[str, Any], ...]:
    _, table = grid_search(name, data, study_split(data, 0), 0)
    rows = table.head(N_TOP).to_dict("records")
    return tuple({str(key): value for key, value in row.items()} for row in rows)


def _evaluation(fitted: Fitted, data: Dataset) -> Evaluation:
    """Evaluate the exported file, so that the report is of what would be served."""
    model = parse_model(to_file(fitted, "", {}), fitted.name)
    test = frozenset(fitted.testing.track_rows)
    return evaluate(model, data, test, fitted.split, seed=0)


def _watched_history(data: Dataset, fixed: Fitted) -> dict[str, list[float]]:
    """Fit all epochs once more with watched rows, to show the overfitting."""
    split = Split(
        "learning curve",
        frozenset(fixed.fitting.track_rows),
        frozenset(fixed.testing.track_rows),
    )
    fitted = fit("mlp", data, split, 0, {"patience": 250})
    history: dict[str, list[float]] = getattr(fitted.estimator, "history_", {})
    return history


_HEADER: Final = (
    "model",
    "random 80/20",
    "published",
    "fault-filtered",
    "artist folds",
    "ECE random / fault-filtered",
    "best genre (study)",
    "worst genre (study)",
    "top five shared",
)


def comparison(studies: Sequence[ModelStudy]) -> list[tuple[str, ...]]:
    """Return the rows of the table that sets our figures beside the study's."""
    return [_comparison_row(study) for study in studies]


def _comparison_row(study: ModelStudy) -> tuple[str, ...]:
    published, random = PUBLISHED[study.name], study.random
    shared = len(set(study.top) & set(published.top))
    return (
        study.name,
        f"{random.accuracy:.1%} ± {_standard_error(random.accuracies):.1%} "
        f"({len(random.accuracies)} seeds)",
        f"{PUBLISHED_RANGE[0]:.0%} to {PUBLISHED_RANGE[1]:.0%}",
        f"{study.honest.accuracy:.1%}",
        f"{study.artists.accuracy:.1%}",
        f"{random.ece:.3f} / {study.honest.ece:.3f}",
        f"{random.best[0]} {random.best[1]:.2f} ({published.best[0]} {published.best[1]:.2f})",
        f"{random.worst[0]} {random.worst[1]:.2f} ({published.worst[0]} {published.worst[1]:.2f})",
        f"{shared} of {N_TOP}: {', '.join(study.top)}" if study.top else "no impurities",
    )


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def markdown(studies: Sequence[ModelStudy]) -> str:
    """Return the comparison as a Markdown table."""
    rows = [_HEADER, tuple("---" for _ in _HEADER), *comparison(studies)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write_report(studies: Sequence[ModelStudy], folder: Path) -> str:
    """Write ``report.html``, ``report.json`` and ``comparison.md``; return the last."""
    sections = [
        f"<p>Features {FEATURE_SET} of {TABLE}. Random: the study's 80/20, means over seeds with "
        "their standard error. Fault-filtered and artist folds: no artist on two sides.</p>",
        report.table(_HEADER, comparison(studies)),
    ]
    for study in studies:
        sections += _sections(study)
    report.write(folder, report.page("The study repeated", sections), studies)
    text = markdown(studies)
    (folder / "comparison.md").write_text(text + "\n", encoding="utf-8")
    return text


def _sections(study: ModelStudy) -> list[str]:
    sections = [f"<h2>{study.name}</h2>"]
    if study.history:
        curve = plots.data_uri(plots.learning_curve(study.history))
        sections.append(report.image(curve, "learning curve"))
    if study.search:
        rows = [tuple(str(value) for value in row.values()) for row in study.search]
        sections += ["<h3>Grid search</h3>", report.table(tuple(study.search[0]), rows)]
    for evaluation in study.evaluations:
        sections.append(f"<h2>{study.name}, {evaluation.split}</h2>")
        sections += report.evaluation_sections(evaluation)
    return sections
