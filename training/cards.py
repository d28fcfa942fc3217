"""Model cards: what a shipped file is, what it was fitted on, what it scores and where it ends."""

import hashlib
from collections.abc import Sequence
from typing import Final

from schemas import ModelMetadata
from training.metrics import Scores

_TEMPLATE: Final = """\
# {name} {version}

sha256: {sha256}

{summary} An ONNX file of {size} kB: `features` float32 (N, {width}) in, `probabilities` float32
(N, {classes}) out, scaling inside the graph. Made by `make models`; two runs give the same bytes
but for the creation date.

| | |
|---|---|
| feature set | `{feature_set}` |
| labels | {labels} |
| training data | `{data}` |
| fitted on | {split}, {fitted} tracks |
| created | {created} |

## Scores

Honest means the fault-filtered split (Kereliuk, Sturm, Larsen 2015): no distorted or repeated
tracks, no artist on two sides. This very file has never seen its {tested} test tracks.

| protocol | accuracy | 95 % interval | top-3 | macro F1 | ECE |
|---|---|---|---|---|---|
| **fault-filtered test (this file)** | **{accuracy:.1%}** | {low:.1%} to {high:.1%} | {top3:.1%} \
| {macro_f1:.3f} | {ece:.3f} |
| random 80/20, {seeds} seeds (refitted) | {random:.1%} | | | | |

The random split shares artists and albums between its sides: its figure says how well a model
recognises albums, not genres.

| genre | precision | recall | F1 | tracks |
|---|---|---|---|---|
{genres}

## Limits

- {classes} Western genres of 1000 excerpts collected in 2000 to 2001; other music gets one of these labels
  too. Worst here: {worst}.
- Fitted on features of {rows}; the service computes them on windows of 3 s and averages the
  probabilities over the stream.
- Speech, silence and noise are not among the labels.

## Data and licence

The model is derived from feature tables of GTZAN (Tzanetakis and Cook 2002). GTZAN has no licence
and its recordings are under copyright: it is used for research only, and neither audio nor tables
are part of this repository. Check whether that suits you before commercial use.
"""


def card(
    metadata: ModelMetadata,
    data: bytes,
    scores: Scores,
    random_accuracies: Sequence[float],
    *,
    summary: str,
    fitted_tracks: int,
    rows: str,
) -> str:
    """Return the card of a file as Markdown.

    Parameters
    ----------
    metadata, data
        Of the file.
    scores
        Of this file by track on the fault-filtered test side.
    random_accuracies
        Of the same recipe on random splits, one a seed.
    summary
        One sentence.
    fitted_tracks
        Number of tracks fitted to.
    rows
        What a training row covers.
    """
    return _TEMPLATE.format(
        name=metadata.name,
        version=metadata.version,
        sha256=hashlib.sha256(data).hexdigest(),
        summary=summary,
        size=round(len(data) / 1000),
        width=len(metadata.feature_names),
        classes=len(metadata.labels),
        feature_set=metadata.feature_set,
        labels=", ".join(metadata.labels),
        data=metadata.training_data,
        split=metadata.split,
        fitted=fitted_tracks,
        created=metadata.created,
        tested=scores.count,
        accuracy=scores.accuracy,
        low=scores.accuracy_low,
        high=scores.accuracy_high,
        top3=scores.top3,
        macro_f1=scores.macro_f1,
        ece=scores.ece,
        seeds=len(random_accuracies),
        random=sum(random_accuracies) / len(random_accuracies),
        genres="\n".join(
            f"| {g.label} | {g.precision:.2f} | {g.recall:.2f} | {g.f1:.2f} | {g.support} |"
            for g in scores.genres
        ),
        worst=f"{scores.worst.label}, F1 {scores.worst.f1:.2f}",
        rows=rows,
    )
