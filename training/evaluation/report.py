"""Reports as one HTML file without outside references, and the same figures as JSON."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

import msgspec

from training.evaluation import plots
from training.evaluation.onnx_evaluation import Evaluation
from training.evaluation.rejection import ContentConfusion
from training.evaluation.scores import Scores

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid #ccc}td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


def page(title: str, sections: Sequence[str]) -> str:
    """Return a whole HTML page."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table of texts."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table><tr>{head}</tr>\n{body}</table>"


def image(uri: str, text: str) -> str:
    """Return an HTML image with the text that stands for it."""
    return f'<p><img src="{uri}" alt="{escape(text)}"></p>'


def items(texts: Sequence[str]) -> str:
    """Return an HTML list."""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def evaluation_sections(evaluation: Evaluation) -> list[str]:
    """Return all figures and plots of one model as parts of a page."""
    by_track = evaluation.by_track
    return [
        f"<p>Model <b>{escape(evaluation.model)}</b> {escape(evaluation.version)}, features "
        f"{escape(evaluation.feature_set)}, data {escape(evaluation.data)}, split "
        f"{escape(evaluation.split)}.</p>",
        _summary({"by window": evaluation.by_window, "by track vote": by_track}),
        f"<p>Best genre: <b>{by_track.best.label}</b> (F1 {by_track.best.f1:.2f}), worst: "
        f"<b>{by_track.worst.label}</b> (F1 {by_track.worst.f1:.2f}), by track.</p>",
        "<h3>Genres, by track vote</h3>",
        genre_table(by_track),
        "<h3>Genres, by window</h3>",
        genre_table(evaluation.by_window),
        image(plots.data_uri(plots.confusion(by_track)), "confusion matrix by track"),
        image(plots.data_uri(plots.reliability(by_track)), "reliability by track"),
        *_rejection(evaluation),
        image(plots.data_uri(plots.importances(evaluation.importances)), "importances"),
        *(["<h3>Remarks</h3>", items(evaluation.remarks)] if evaluation.remarks else []),
    ]


def _rejection(evaluation: Evaluation) -> list[str]:
    """Return the reject curve, new artists and other sounds, as far as they were asked for."""
    points = [(f"{p.limit:g}", f"{p.coverage:.1%}", f"{p.accuracy:.1%}") for p in evaluation.curve]
    sections = [
        "<h3>What surer answers leave out, by track vote</h3>",
        table(("least confidence", "share of tracks", "right among them"), points),
        image(plots.data_uri(plots.rejection(evaluation.curve)), "coverage and accuracy"),
    ]
    new, sounds = evaluation.new_artists, evaluation.other_sounds
    if new:
        sections.append(
            f"<p>Of the {new.tracks} tracks by {new.artists} artists that it was not fitted to, "
            f"{new.accuracy:.1%} ± {new.standard_error:.1%} are right (artists are what is drawn); "
            f"{new.known} tracks are by artists that it knows, or by nobody named.</p>"
        )
    if sounds:
        sections += [
            f"<p>Of {sounds.clips} other sounds {sounds.clips_labelled:.1%} get a label, of their "
            f"{sounds.windows} windows {sounds.windows_labelled:.1%}, by the head alone.</p>",
            table(("label", "clips"), [(k, str(n)) for k, n in sounds.labels.items()]),
            "<p>Share of the windows that content says hold what, that get a label by the head "
            "alone, and that do where what is no music has none:</p>",
            table(
                ("folder", "clips", "windows", "music", "speech", "other", "label", "as music"),
                [_confusion_row(kind) for kind in sounds.confusion],
            ),
            items(sounds.skipped),
        ]
    return sections


def _confusion_row(kind: ContentConfusion) -> tuple[str, ...]:
    shares = (kind.music, kind.speech, kind.other, kind.labelled, kind.labelled_as_music)
    counts = (str(kind.clips), str(kind.windows))
    return (kind.folder or "-", *counts, *(f"{share:.1%}" for share in shares))


def _summary(scores: Mapping[str, Scores]) -> str:
    header = ("", "count", "accuracy", "95 % interval", "top-3", "macro F1", "ECE")
    rows = [
        (
            name,
            str(s.count),
            f"{s.accuracy:.1%}",
            f"{s.accuracy_low:.1%} to {s.accuracy_high:.1%}",
            f"{s.top3:.1%}",
            f"{s.macro_f1:.3f}",
            f"{s.ece:.3f}",
        )
        for name, s in scores.items()
    ]
    return table(header, rows)


def genre_table(scores: Scores) -> str:
    """Return precision, recall and F1 of each genre as an HTML table."""
    rows = [
        (g.label, f"{g.precision:.2f}", f"{g.recall:.2f}", f"{g.f1:.2f}", str(g.support))
        for g in scores.genres
    ]
    return table(("genre", "precision", "recall", "F1", "count"), rows)


def write(folder: Path, html: str, figures: object) -> None:
    """Write ``report.html`` and ``report.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(html, encoding="utf-8")
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2)
    (folder / "report.json").write_bytes(text + b"\n")
