"""Figures of scores; numbers come in, `matplotlib.figure.Figure` comes out."""

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from training.evaluation.onnx_evaluation import Importance
from training.evaluation.rejection import RejectPoint
from training.evaluation.scores import Scores


def confusion(scores: Scores) -> Figure:
    """Draw the confusion matrix: rows truths, columns answers."""
    labels = [genre.label for genre in scores.genres]
    counts = np.array(scores.confusion)
    figure = Figure(figsize=(6.5, 5.5), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(counts, cmap="Blues")
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right")
    axes.set_yticks(ticks, labels)
    axes.set(xlabel="answer", ylabel="truth", title="Confusion")
    for row, column in np.ndindex(*counts.shape):
        dark = counts[row, column] > counts.max() / 2
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=8,
            color="white" if dark else "black",
        )  # fmt: skip
    figure.colorbar(image, ax=axes, label="count")
    return figure


def reliability(scores: Scores) -> Figure:
    """Draw accuracy over confidence; a calibrated model lies on the diagonal."""
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    bins = scores.reliability
    axes.plot([0, 1], [0, 1], "--", color="grey", label="perfectly calibrated")
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], "o-", label="model")
    for b in bins:
        axes.annotate(
            str(b.count), (b.confidence, b.accuracy), textcoords="offset points", xytext=(4, -10)
        )
    axes.set(
        xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1),
        title=f"Reliability, ECE {scores.ece:.3f}",
    )  # fmt: skip
    axes.legend()
    return figure


def rejection(curve: Sequence[RejectPoint]) -> Figure:
    """Draw accuracy over the share of answers that a limit of confidence leaves."""
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([p.coverage for p in curve], [p.accuracy for p in curve], "o-")
    for p in curve:
        axes.annotate(
            f"{p.limit:g}", (p.coverage, p.accuracy), textcoords="offset points", xytext=(4, 4)
        )
    axes.set(
        xlabel="share of answers that are left", ylabel="accuracy of those", xlim=(0, 1.05),
        title="Coverage and accuracy by least confidence",
    )  # fmt: skip
    return figure


def importances(values: Sequence[Importance], limit: int = 25) -> Figure:
    """Draw the most important features, by permutation and, of forests, by impurity."""
    with_impurity = all(value.impurity is not None for value in values)
    figure = Figure(figsize=(10 if with_impurity else 5.5, 6), layout="constrained")
    columns = figure.subplots(1, 2 if with_impurity else 1, squeeze=False)[0]
    ranked = sorted(values, key=lambda value: value.permutation)[-limit:]
    columns[0].barh(
        [v.feature for v in ranked],
        [v.permutation for v in ranked],
        xerr=[v.permutation_std for v in ranked],
    )
    columns[0].set(xlabel="loss of accuracy when shuffled", title="Permutation importance")
    if with_impurity:
        ranked = sorted(values, key=lambda value: value.impurity or 0.0)[-limit:]
        columns[1].barh([v.feature for v in ranked], [v.impurity or 0.0 for v in ranked])
        columns[1].set(xlabel="mean decrease of impurity", title="Impurity importance")
    return figure


def learning_curve(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draw a network's loss and accuracy by epoch, as Keras names them."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((name, "fitted rows"), (f"val_{name}", "watched rows")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], label=label)
        axes.set(xlabel="epoch", ylabel=name, title=f"Learning curve: {name}")
        axes.legend()
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure always gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()


def data_uri(figure: Figure) -> str:
    """Return a figure as the source of an HTML image."""
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()
