"""The card of the shipped genre head: how its recipe does on tracks that it was not fitted to."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas import ModelMetadata
from training.evaluation.rejection import RejectPoint
from training.evaluation.scores import Scores
from training.models.fitting import Fitted


@dataclass(frozen=True, slots=True)
class WayReport:
    """How tracks do that are heard in one way: by rows of the embeddings, or by windows of audio.

    Attributes
    ----------
    accuracy
        Share of right tracks, mean of the repetitions of the folds.
    folds, rows
        Tracks and rows, by the mean probabilities of the repetitions.
    track_ece, row_ece
        Calibration error, mean of the repetitions.
    valid
        Tracks of the valid side, fitted to the train side alone.
    curve
        Limit of confidence, share of tracks as sure as that, share of right ones among them.
    """

    accuracy: float
    folds: Scores
    rows: Scores
    track_ece: float
    row_ece: float
    valid: Scores
    curve: tuple[RejectPoint, ...]


@dataclass(frozen=True, slots=True)
class PoolReport:
    """How the head does when it is pooled with the one on content's embedding.

    Attributes
    ----------
    weights
        Of the two heads' logarithms; see `schemas.votes`.
    windows
        Tracks by windows of audio, as of the head alone.
    gain, gain_error
        How much more of those tracks is right than by the head alone; its standard error, artists
        being what is drawn.
    valid_right, valid_count
        Tracks of the valid side, fitted to the train side alone: by windows of audio and both
        heads where the audio is at hand, by the embeddings and one head elsewhere.
    """

    weights: tuple[float, float]
    windows: WayReport
    gain: float
    gain_error: float
    valid_right: int
    valid_count: int


@dataclass(frozen=True, slots=True)
class HeadReport:
    """How the recipe of the head does on tracks that it was not fitted to.

    Attributes
    ----------
    chosen
        Name of the candidate.
    temperature, sharpness, unknown_below
        What was chosen on the answers in the folds.
    score, standard_error
        Of the candidate, over both ways; artists are what is drawn.
    pairs, windows
        The two ways.
    audio_tracks
        Tracks with audio.
    artists
        Number of artists, all unknown ones of a genre being one.
    pool
        Pooled with the head on content's embedding, if it is.
    """

    chosen: str
    temperature: float
    sharpness: float
    unknown_below: float
    score: float
    standard_error: float
    pairs: WayReport
    windows: WayReport
    audio_tracks: int
    artists: int
    pool: PoolReport | None = None

    def figures(self) -> dict[str, float]:
        """Return the scores that the file's metadata holds."""
        pooled = (
            {
                "pooled_artist_folds_windows_accuracy": self.pool.windows.accuracy,
                "pooled_fault_filtered_valid_accuracy": (
                    self.pool.valid_right / self.pool.valid_count
                ),
            }
            if self.pool
            else {}
        )
        return {
            "artist_folds_accuracy": self.score,
            "artist_folds_standard_error": self.standard_error,
            "artist_folds_pairs_accuracy": self.pairs.accuracy,
            "artist_folds_windows_accuracy": self.windows.accuracy,
            "artist_folds_track_ece": max(self.pairs.track_ece, self.windows.track_ece),
            "artist_folds_window_ece": max(self.pairs.row_ece, self.windows.row_ece),
            "fault_filtered_valid_accuracy": self.pairs.valid.accuracy,
            **pooled,
        }


_TEMPLATE: Final = Path(__file__).with_name("head_card.md")
_CONTENT_TEMPLATE: Final = Path(__file__).with_name("content_head_card.md")
_POOLED_TEMPLATE: Final = Path(__file__).with_name("pooled_card.md")


def _identity(fitted: Fitted, metadata: ModelMetadata, file: bytes) -> dict[str, Any]:
    """Return what the card of any head says of its file."""
    return {
        "name": metadata.name,
        "version": metadata.version,
        "sha256": hashlib.sha256(file).hexdigest(),
        "feature_set": metadata.feature_set,
        "size": round(len(file) / 1000),
        "width": len(metadata.feature_names),
        "classes": len(metadata.labels),
        "labels": ", ".join(metadata.labels),
        "tracks": len(fitted.fitting.track_rows),
        "split": metadata.split,
        "created": metadata.created,
    }


def _genre_rows(way: WayReport) -> str:
    return "\n".join(
        f"| {g.label} | {g.precision:.2f} | {g.recall:.2f} | {g.f1:.2f} | {g.support} |"
        for g in way.folds.genres
    )


def head_card(report: HeadReport, fitted: Fitted, metadata: ModelMetadata, file: bytes) -> str:
    """Return the card as Markdown."""
    return _TEMPLATE.read_text(encoding="utf-8").format(
        **_identity(fitted, metadata, file),
        unknown_below=metadata.unknown_below,
        audio_tracks=report.audio_tracks,
        pairs=report.pairs,
        windows=report.windows,
        pairs_count=report.pairs.folds.count,
        windows_count=report.windows.folds.count,
        score=report.score,
        error=report.standard_error,
        artists=report.artists,
        temperature=report.temperature,
        sharpness=report.sharpness,
        genres=_genre_rows(report.pairs),
        curve="\n".join(
            f"| {p.limit:.1f} | {p.coverage:.1%} | {p.accuracy:.1%} |" for p in report.windows.curve
        ),
        pooled=(_pooled(report.pool, report.windows, metadata.pooled_with) if report.pool else ""),
    )


def _pooled(pool: PoolReport, alone: WayReport, name: str) -> str:
    least = min(pool.windows.folds.genres, key=lambda genre: genre.recall)
    return _POOLED_TEMPLATE.read_text(encoding="utf-8").format(
        name=name,
        weights=pool.weights,
        count=pool.windows.folds.count,
        alone=alone,
        both=pool.windows,
        gain=100 * pool.gain,
        error=100 * pool.gain_error,
        valid_right=pool.valid_right,
        valid_count=pool.valid_count,
        valid_share=pool.valid_right / pool.valid_count,
        valid_audio=pool.windows.valid.count,
        least=least.recall,
        least_genre=least.label,
    )


def content_head_card(
    report: WayReport, fitted: Fitted, metadata: ModelMetadata, file: bytes
) -> str:
    """Return the card of the head on content's embedding as Markdown."""
    return _CONTENT_TEMPLATE.read_text(encoding="utf-8").format(
        **_identity(fitted, metadata, file),
        way=report,
        genres=_genre_rows(report),
    )
