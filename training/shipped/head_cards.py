"""The card of the shipped head: how its recipe does on tracks that it was not fitted to."""

import hashlib
from dataclasses import dataclass
from typing import Final

from schemas import ModelMetadata
from training.evaluation.scores import Scores
from training.models.fitting import Fitted


@dataclass(frozen=True, slots=True)
class HeadReport:
    """How the recipe of the head does on tracks that it was not fitted to.

    Attributes
    ----------
    valid
        Fitted on the train side of the fault-filtered split alone, on its valid side.
    artist_folds
        All tracks at hand, in folds without shared artists, mean probabilities of `SEEDS`.
    random
        Folds that share artists.
    recalls
        Of scarce genres, leaving one track out: right answers and tracks.
    known, known_right
        Share of tracks that are not called unknown, and share of right ones among them.
    """

    valid: Scores
    artist_folds: Scores
    random: Scores
    recalls: dict[str, tuple[int, int]]
    known: float
    known_right: float

    def figures(self) -> dict[str, float]:
        """Return the scores that the file's metadata holds."""
        return {
            "fault_filtered_valid_accuracy": self.valid.accuracy,
            "artist_folds_accuracy": self.artist_folds.accuracy,
            "artist_folds_ece": self.artist_folds.ece,
            "random_folds_accuracy": self.random.accuracy,
        }


_TEMPLATE: Final = """\
# {name} {version}

sha256: {sha256}

Genres from what MusiCNN hears (`{feature_set}`): discriminant analysis for windows that vote, a
Gaussian a track, beside sounds that are no music. A window that is like noise, tones, birds or
speech, or like nothing known, gets nearly equal probabilities for all genres.

An ONNX file of {size} kB: `features` float32 (N, {width}) in, `probabilities` float32
(N, {classes}) out. It answers as the model that it was made from, within 1e-5.

| | |
|---|---|
| feature set | `{feature_set}` ([its network](embeddings/musicnn-200.md)) |
| labels | {labels}; `unknown` below a confidence of {unknown_below:g} |
| training data | {tracks} tracks of GTZAN, windows of 3 s, and sounds made on the spot |
| fitted on | {split} |
| created | {created} |

## Scores

This file is fitted to all audio that was at hand, so no track of it can score it. The figures are
of its recipe, by track, on tracks that the fit did not know:

| protocol | accuracy | 95 % interval | macro F1 | ECE |
|---|---|---|---|---|
{protocols}

The audio at hand is {counts}: {tracks} of GTZAN's 1000 tracks. The fault-filtered test tracks are
not among it. The artists are few (one of reggae, two of pop, six of blues): folds keep them apart
but for pop and reggae, where tracks are apart.

Leaving one track out: {recalls}.

{known:.1%} of the tracks in folds get a genre, {known_right:.1%} of those the right one; the others
are `unknown`.

By genre, in folds apart by artist:

| genre | precision | recall | F1 | tracks |
|---|---|---|---|---|
{genres}

## Limits

- Few artists: what it takes for reggae is Bob Marley.
- Other sounds were learned from synthesised ones; some speech is still called a genre.

## Data and licence

Fitted to excerpts of GTZAN (Tzanetakis and Cook 2002). GTZAN has no licence and its recordings are
under copyright: it is for research only, and no audio is part of this repository. Check whether
that suits you before commercial use. The licence of the network's weights is in its card.
"""


def head_card(report: HeadReport, fitted: Fitted, metadata: ModelMetadata, file: bytes) -> str:
    """Return the card as Markdown."""
    data = fitted.fitting
    counts = dict.fromkeys(data.labels, 0)
    for rows in data.track_rows.values():
        counts[data.labels[data.y[rows[0]]]] += 1
    protocols = {
        "fitted on fault-filtered train alone, scored on valid": report.valid,
        "ten folds apart by artist": report.artist_folds,
        "ten random folds": report.random,
    }
    return _TEMPLATE.format(
        name=metadata.name,
        version=metadata.version,
        sha256=hashlib.sha256(file).hexdigest(),
        feature_set=metadata.feature_set,
        size=round(len(file) / 1000),
        width=len(metadata.feature_names),
        classes=len(metadata.labels),
        labels=", ".join(metadata.labels),
        unknown_below=metadata.unknown_below,
        tracks=len(data.track_rows),
        split=metadata.split,
        created=metadata.created,
        protocols="\n".join(_protocol(name, scores) for name, scores in protocols.items()),
        counts=", ".join(f"{count} {label}" for label, count in counts.items()),
        recalls=", ".join(f"{label} {n} of {m}" for label, (n, m) in report.recalls.items()),
        known=report.known,
        known_right=report.known_right,
        genres="\n".join(
            f"| {g.label} | {g.precision:.2f} | {g.recall:.2f} | {g.f1:.2f} | {g.support} |"
            for g in report.artist_folds.genres
        ),
    )


def _protocol(name: str, scores: Scores) -> str:
    return (
        f"| {name}, {scores.count} tracks | {scores.accuracy:.1%} | {scores.accuracy_low:.1%} to "
        f"{scores.accuracy_high:.1%} | {scores.macro_f1:.3f} | {scores.ece:.3f} |"
    )
