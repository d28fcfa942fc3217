"""Model cards: what a file is, what it was fitted on, what it scores and where it ends."""

import hashlib
from collections.abc import Sequence
from typing import Final

from schemas import ModelMetadata
from training.evaluation.scores import Scores
from training.models.fitting import Fitted

_TEMPLATE: Final = """\
# {name} {version}

sha256: {sha256}

{summary}

An ONNX file of {size} kB: `features` float32 (N, {width}) in, `probabilities` float32
(N, {classes}) out, scaling inside the graph. Fitted again from the same data it has the same bytes
but for the creation date. It answers as the model that it was made from, within 1e-5.

| | |
|---|---|
| feature set | `{feature_set}` |
| labels | {labels} |
| training data | `{data}`, {rows} |
| fitted on | {split}, {fitted} tracks |
| created | {created} |

## Scores

By track. This very file has never seen the {tested} test tracks.{honest}

| protocol | accuracy | 95 % interval | top-3 | macro F1 | ECE |
|---|---|---|---|---|---|
{protocols}

| genre | precision | recall | F1 | tracks |
|---|---|---|---|---|
{genres}

## Limits

- It knows {classes} genres and calls everything one of them, speech and silence too.
- Worst genre here: {worst}. Best: {best}.
{limits}
## Data and licence

{licence}
"""
_HONEST: Final = """
Fault-filtered (Kereliuk, Sturm, Larsen 2015) is the honest protocol: no distorted or repeated
tracks, no artist on two sides. A random split shares artists and albums between its sides: its
figure says how well a model recognises albums, not genres."""
_GTZAN_LIMITS: Final = """\
- GTZAN holds excerpts that were collected in 2000 and 2001 and little of the music outside of the
  West.
- Fitted on features of {rows}.
  The service computes them on windows of 3 s and averages the probabilities over the stream.
"""
_GTZAN_LICENCE: Final = """\
Derived from feature tables of GTZAN (Tzanetakis and Cook 2002). GTZAN has no licence and its
recordings are under copyright: it is for research only, and neither audio nor tables are part of
this repository. Check whether that suits you before commercial use."""
_OWN_LICENCE: Final = """\
Derived from `{data}`. Its licence, and that of the audio behind it, is yours to state here."""


def card(
    metadata: ModelMetadata,
    file: bytes,
    fitted: Fitted,
    *,
    summary: str = "",
    rows: str = "",
    random_accuracies: Sequence[float] = (),
) -> str:
    """Return the card of a file as Markdown.

    Parameters
    ----------
    metadata, file
        The ONNX file and what it says of itself.
    fitted
        What it was made from.
    summary
        What it is, in a sentence.
    rows
        What a training row covers, for models of the public GTZAN tables.
    random_accuracies
        Of the same recipe on random splits, one a seed.
    """
    scores = fitted.scores
    gtzan = bool(rows)
    return _TEMPLATE.format(
        name=metadata.name,
        version=metadata.version,
        sha256=hashlib.sha256(file).hexdigest(),
        summary=summary or f"A {fitted.name} model on {metadata.feature_set}.",
        size=round(len(file) / 1000),
        width=len(metadata.feature_names),
        classes=len(metadata.labels),
        feature_set=metadata.feature_set,
        labels=", ".join(metadata.labels),
        data=metadata.training_data,
        rows=rows or f"{len(fitted.fitting)} rows",
        split=metadata.split,
        fitted=len(fitted.fitting.track_rows),
        created=metadata.created,
        tested=scores.count,
        honest=_HONEST if gtzan else "",
        protocols=_protocols(metadata.split.split(":")[0], scores, random_accuracies),
        genres=_genres(scores),
        worst=f"{scores.worst.label}, F1 {scores.worst.f1:.2f}",
        best=f"{scores.best.label}, F1 {scores.best.f1:.2f}",
        limits=_GTZAN_LIMITS.format(rows=rows) if gtzan else "",
        licence=(_GTZAN_LICENCE if gtzan else _OWN_LICENCE).format(data=metadata.training_data),
    )


def _protocols(split: str, scores: Scores, random_accuracies: Sequence[float]) -> str:
    lines = [
        f"| **{split}: test (this file)** | **{scores.accuracy:.1%}** | {scores.accuracy_low:.1%} "
        f"to {scores.accuracy_high:.1%} | {scores.top3:.1%} | {scores.macro_f1:.3f} | "
        f"{scores.ece:.3f} |"
    ]
    if random_accuracies:
        mean = sum(random_accuracies) / len(random_accuracies)
        lines.append(
            f"| random 80/20, mean of {len(random_accuracies)} (refitted) | {mean:.1%} | | | | |"
        )
    return "\n".join(lines)


def _genres(scores: Scores) -> str:
    return "\n".join(
        f"| {g.label} | {g.precision:.2f} | {g.recall:.2f} | {g.f1:.2f} | {g.support} |"
        for g in scores.genres
    )
