"""Fit the layer that makes content of what CED hears, and score it on sources held back."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.embeddings.content import COLUMNS, INPUT_NAME, KINDS, N_FFT, N_FRAMES, power_spectra
from features.onnx_session import open_session
from training.data.content_clips import Clip, LabelledWindow, windows
from training.networks.ced_graph import GraphBuilder, encode, finish, mean
from training.networks.ced_weights import WIDTH, Ced
from training.networks.content_file import GENRE_FROM, HEAD, KEPT, Head

REPORT: Final = HEAD.with_suffix(".json")
#: Inverse strength of the penalty.
STRENGTH: Final = 0.003
#: Added to the logit of each kind, so that one half is where it is to be told: speech over loud
#: music and music under loud speech are missed otherwise.
SHIFT: Final = np.array([0.5, 1.0, 0.0], np.float32)
#: Share of a clip's windows that must have a genre before the clip has one, likewise.
LEAST_MUSIC: Final = 0.25

Rows = NDArray[np.float32]


class Embedded(msgspec.Struct, frozen=True):
    """Windows as the network hears them.

    Attributes
    ----------
    rows
        [shape=(n, 192)].
    windows
        Of the same order; their samples are dropped.
    """

    rows: Rows
    windows: list[LabelledWindow]

    @property
    def labels(self) -> NDArray[np.float64]:
        """Truth of each kind, NaN where unknown [shape=(n, 3)]."""
        return np.array([window.labels for window in self.windows])

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of each window in the fit of speech [shape=(n,)]."""
        return np.array([window.weight for window in self.windows])

    def where(self, mask: Sequence[bool] | NDArray[np.bool_]) -> "Embedded":
        """Return some of the windows."""
        chosen = [window for window, take in zip(self.windows, mask, strict=True) if take]
        return Embedded(self.rows[np.asarray(mask)], chosen)


class KindScore(msgspec.Struct, frozen=True):
    """What became of one kind of windows: shares of them, and of their clips.

    Attributes
    ----------
    kind, windows, clips
        What, and how many.
    music, speech, other
        Share of windows with a probability of one half and more.
    both
        Share of windows said to hold music and speech.
    genre
        Share of windows that get a genre.
    clips_genre
        Share of clips that do.
    """

    kind: str
    windows: int
    clips: int
    music: float
    speech: float
    other: float
    both: float
    genre: float
    clips_genre: float


class ContentReport(msgspec.Struct, frozen=True):
    """Scores on sources held back from the fit, which chose the constants above."""

    fitted_windows: int
    auc: dict[str, float]
    kinds: list[KindScore]


def fit_content(network: Ced, clips: Sequence[Clip]) -> tuple[Head, ContentReport]:
    """Fit to all windows, and score the same fit to those not held back on the others."""
    embedded = embed(network, windows(clips))
    held_back = np.array([window.held_back for window in embedded.windows])
    fitted = embedded.where(~held_back)
    report = score(fit(fitted), embedded.where(held_back), len(fitted.windows))
    return fit(embedded), report


def embed(network: Ced, labelled: Iterable[LabelledWindow]) -> Embedded:
    """Run the network up to our layer on each window."""
    graph = GraphBuilder(eight_bits=True)
    pooled = mean(graph, encode(graph, network, INPUT_NAME, COLUMNS, KEPT))
    bins = N_FFT // 2 + 1
    model = finish(graph, (INPUT_NAME, ["n", N_FRAMES, bins]), (pooled, "pooled", ["n", WIDTH]))
    session = open_session(model.SerializeToString())
    rows, kept = [], []
    for window in labelled:
        power = power_spectra(window.samples)
        rows.append(session.run(None, {INPUT_NAME: power[np.newaxis]})[0][0])
        kept.append(replace(window, samples=window.samples[:0].copy()))
    return Embedded(np.array(rows, np.float32), kept)


def fit(embedded: Embedded) -> Head:
    """Fit one logistic regression a kind, on rows standardised; all of it becomes one layer."""
    layers = [_fit_kind(embedded, number) for number in range(len(KINDS))]
    weights, bias = (np.array(part, np.float32) for part in zip(*layers, strict=True))
    return weights.T.copy(), bias + SHIFT


def _fit_kind(embedded: Embedded, number: int) -> tuple[Any, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    truth = embedded.labels[:, number]
    known = ~np.isnan(truth)
    is_speech = KINDS[number] == "speech"
    weights = embedded.weights[known] if is_speech else np.ones(int(known.sum()))
    rows = embedded.rows[known].astype(np.float64)
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(C=STRENGTH, max_iter=2000)
    model.fit(scaler.transform(rows), truth[known], sample_weight=weights)
    slope = model.coef_[0] / scaler.scale_
    return slope, model.intercept_[0] - scaler.mean_ @ slope


def apply(head: Head, rows: Rows) -> NDArray[np.float64]:
    """Return the probabilities of each kind [shape=(n, 3)]."""
    weights, bias = head
    found: NDArray[np.float64] = 1 / (1 + np.exp(-(rows.astype(np.float64) @ weights + bias)))
    return found


def score(head: Head, held_back: Embedded, fitted: int) -> ContentReport:
    """Score a layer on windows that it was not fitted to."""
    from sklearn.metrics import roc_auc_score

    found, truth = apply(head, held_back.rows), held_back.labels
    auc = {}
    for number, kind in enumerate(KINDS):
        known = ~np.isnan(truth[:, number])
        auc[kind] = round(float(roc_auc_score(truth[known, number], found[known, number])), 4)
    names = np.array([window.kind for window in held_back.windows])
    # A pause in the speech over music is music alone.
    counts = ~(np.char.endswith(names, "over music") & (truth[:, 1] != 1.0))
    kinds = [
        _score_kind(str(kind), found[here], held_back.where(here).windows)
        for kind in dict.fromkeys(names.tolist())
        for here in [counts & (names == kind)]
    ]
    return ContentReport(fitted, auc, kinds)


def _score_kind(kind: str, found: NDArray[np.float64], here: Sequence[LabelledWindow]) -> KindScore:
    told = found >= 0.5
    genre = found[:, 0] >= GENRE_FROM
    by_clip: dict[str, list[bool]] = {}
    for window, has_genre in zip(here, genre, strict=True):
        by_clip.setdefault(window.clip, []).append(bool(has_genre))
    with_genre = [np.mean(parts) >= LEAST_MUSIC for parts in by_clip.values()]
    shares = [*told.mean(axis=0), (told[:, 0] & told[:, 1]).mean(), genre.mean()]
    return KindScore(
        kind,
        len(here),
        len(by_clip),
        *(round(float(share), 4) for share in (*shares, np.mean(with_genre))),
    )


def write(head: Head, report: ContentReport, folder: Path) -> None:
    """Write ``content_head.npz`` and ``content_head.json``; the same fit gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, bias = head
    np.savez(folder / HEAD.name, weights=weights, bias=bias)
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / REPORT.name).write_bytes(text + b"\n")
