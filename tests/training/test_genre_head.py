"""The genre head on small made-up data: rows, folds, the rule, the file and its card."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features import CONTENT_SET, feature_set
from schemas import GENRES
from tests.training.conftest import make_dataset
from training.data.datasets import Dataset
from training.data.heard_tracks import (
    EMBEDDINGS,
    FEATURE_SET,
    HeardTracks,
    even_rows,
    means_by_artist,
    read_pairs,
    rows_and_means,
    track_means,
)
from training.data.splits import Split
from training.errors import DataError
from training.evaluation.onnx_evaluation import load_model
from training.evaluation.rejection import clustered_error
from training.models.discriminant_mean import mean_discriminant
from training.models.export import check_parity
from training.models.temperature import best_sharpness, best_temperature, log_loss, temper, vote
from training.shipped import choice, content_head, genre_head
from training.shipped.candidates import CANDIDATES, CHOSEN, Candidate, candidate, lda
from training.shipped.comparison import markdown
from training.shipped.recipe import fit_head

NAMES = feature_set(FEATURE_SET).names


def made_up(rows_a_track: int, tracks: int = 12, spread: float = 1.0) -> Dataset:
    """Genres as clouds, tracks as smaller clouds in them, in 200 values."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(len(GENRES), len(NAMES)))
    y = np.repeat(np.arange(len(GENRES)), tracks)
    middles = centres[y] + 2.0 * random.normal(size=(len(y), len(NAMES)))
    which = np.repeat(np.arange(len(y)), rows_a_track)
    X = middles[which] + spread * np.random.default_rng(rows_a_track).normal(
        size=(len(which), len(NAMES))
    )
    names = np.array([f"{GENRES[k]}.{i:05d}" for i, k in enumerate(y)])
    return Dataset(
        "made up", FEATURE_SET, NAMES, GENRES, X.astype(np.float32), y[which], names[which]
    )


@pytest.fixture(scope="module")
def heard() -> HeardTracks:
    """Two tracks an artist; audio of half of the tracks."""
    pairs, windows = made_up(5), made_up(10, spread=2.0)
    tracks = list(pairs.track_rows)
    artists = {track: f"artist {i // 2}" for i, track in enumerate(tracks)}
    return HeardTracks(pairs, windows.of_tracks(frozenset(tracks[::2])), artists)


def split_of(heard: HeardTracks) -> Split:
    tracks = list(heard.pairs.track_rows)
    train = frozenset(t for i, t in enumerate(tracks) if i % 4 < 2)
    return Split("made up", train, frozenset({"rock.99999"}), frozenset(tracks) - train)


def outcome_of(name: str, right: list[float], least: float = 0.9) -> choice.Outcome:
    groups = np.array([f"artist {i}" for i in range(len(right))])
    return choice.Outcome(candidate(name), 1.0, np.array(right), groups, least)


def test_there_are_thirty_candidates_with_the_one_that_is_gone() -> None:
    names = [c.name for c in CANDIDATES]
    assert len(names) == len(set(names)) == 29
    for member in (name for c in CANDIDATES for name in c.members):
        assert not candidate(member).members
    assert candidate(CHOSEN).logits


def test_tracks_count_as_much_with_audio_as_without(heard: HeardTracks) -> None:
    counts = {len(rows) for rows in even_rows(heard).track_rows.values()}
    assert counts == {15}
    assert {len(r) for r in track_means(heard).track_rows.values()} == {1}
    assert {len(r) for r in rows_and_means(heard).track_rows.values()} == {30}


def test_an_artist_counts_by_the_root_of_their_tracks(heard: HeardTracks) -> None:
    tracks = sorted(heard.tracks)
    artists = dict.fromkeys(tracks[:4], "prolific") | {t: t for t in tracks[4:]}
    rows = means_by_artist(replace(heard, artists=artists)).track_rows
    assert {len(rows[t]) for t in tracks[:4]} == {5}
    assert {len(rows[t]) for t in tracks[4:]} == {10}


def test_folds_keep_artists_and_unknown_ones_of_a_genre_apart(heard: HeardTracks) -> None:
    some = {t: a for t, a in heard.artists.items() if not t.startswith("jazz")}
    partly = replace(heard, artists=some)
    tested: list[str] = []
    for train, test in choice.folds(partly, seed=1):
        groups = [set(partly.groups(sorted(side)).tolist()) for side in (train, test)]
        assert not groups[0] & groups[1]
        tested += test
    assert sorted(tested) == sorted(heard.tracks)
    jazz = [t for t in heard.tracks if t.startswith("jazz")]
    assert set(partly.groups(jazz).tolist()) == {"jazz, unknown"}


def test_answers_are_of_models_that_do_not_know_the_track(heard: HeardTracks) -> None:
    """Labels that are chance are not found, though a model fitted to them would know them."""
    genres = np.random.default_rng(1).permutation(np.arange(len(GENRES)).repeat(12))
    by_track = dict(zip(heard.pairs.track_rows, genres.tolist(), strict=True))

    def shuffled(data: Dataset) -> Dataset:
        return replace(data, y=np.array([by_track[t] for t in data.tracks.tolist()]))

    chance = replace(heard, pairs=shuffled(heard.pairs), windows=shuffled(heard.windows))
    answers = choice.answer(Candidate("lda", lda("auto")), chance, seeds=(0,))
    assert (answers.pairs[0].argmax(axis=1) == chance.pairs.y).mean() < 0.3


def test_the_plainest_within_an_error_of_the_best_is_chosen() -> None:
    best = outcome_of("networks", [1, 1, 1, 1, 1, 1, 0, 1])
    near = outcome_of("lda", [1, 1, 1, 1, 1, 0, 1, 0])
    far = outcome_of("lda, pairs alone", [0, 0, 0, 1, 0, 0, 0, 1])
    chosen = choice.choose([far, near, best])
    assert (chosen.best, chosen.chosen) == (best, near)
    assert choice.choose([far, replace(near, least_recall=0.6), best]).chosen is best
    assert "**lda**" in markdown(chosen)
    with pytest.raises(DataError, match="70% of every genre"):
        choice.choose([replace(best, least_recall=0.1)])


def test_an_artists_tracks_are_one_draw() -> None:
    values = np.array([1.0, 1.0, 0.0, 0.0])
    apart = clustered_error(values, np.array(["a", "b", "c", "d"]))
    together = clustered_error(values, np.array(["a", "a", "b", "b"]))
    assert apart == pytest.approx(0.25)
    assert together == pytest.approx(np.sqrt(2) * apart)


def test_a_temperature_takes_overconfidence_away() -> None:
    random = np.random.default_rng(0)
    honest = random.dirichlet(np.ones(10), 4000)
    y = np.array([random.choice(10, p=p) for p in honest])
    data = replace(make_dataset(), y=y, tracks=np.array([f"t{i}" for i in range(4000)]))
    assert best_temperature([(data, temper(honest, 4.0))]) == pytest.approx(0.25, rel=0.1)


def test_votes_are_sharpened_where_windows_err_by_themselves() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 10, 300)
    rows = np.full((3000, 10), 0.4 / 9)
    said = np.where(random.random(3000) < 0.6, y.repeat(10), random.integers(0, 10, 3000))
    rows[np.arange(3000), said] = 0.6
    tracks = np.array([f"t{i:03d}" for i in range(300)]).repeat(10)
    data = replace(make_dataset(), y=y.repeat(10), tracks=tracks)
    sharpness = best_sharpness([(data, rows)])
    assert sharpness > 0.5
    assert log_loss(*vote(data, rows, sharpness)) < log_loss(*vote(data, rows, 0.0))


def test_the_mean_of_discriminants_is_the_mean_of_their_logits(heard: HeardTracks) -> None:
    models = [lda(0.1)(heard.pairs), lda(0.5)(track_means(heard))]
    mean = mean_discriminant(models, 0.5)
    logits = np.mean([np.log(m.predict_proba(heard.pairs.X)) for m in models], axis=0)
    assert mean.predict_proba(heard.pairs.X) == pytest.approx(temper(np.exp(logits), 0.5), abs=1e-6)


def test_the_head_is_made_with_its_card_and_again_with_the_same_bytes(
    heard: HeardTracks, tmp_path: Path
) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        report = genre_head.make(heard, split_of(heard), folder, "2026-01-01")
    files = [(tmp_path / f / f"{genre_head.NAME}.onnx").read_bytes() for f in ("one", "two")]
    cards = [(tmp_path / f / f"{genre_head.NAME}.md").read_text() for f in ("one", "two")]
    assert files[0] == files[1]
    assert cards[0] == cards[1]
    assert hashlib.sha256(files[0]).hexdigest() in cards[0]
    model = fit_head(heard, report.temperature)
    assert check_parity(files[0], model, heard.windows.X) <= 1e-5
    assert report.pairs.accuracy > 0.5
    assert [point.limit for point in report.pairs.curve][:2] == [0.0, 0.1]
    assert "{" not in cards[0]


def embedded(heard: HeardTracks, spread: float) -> HeardTracks:
    """Return the same windows in 192 other values; the less spread, the better they tell."""
    names = feature_set(CONTENT_SET).names
    random = np.random.default_rng(9)
    centres = random.normal(size=(len(GENRES), len(names)))
    windows = heard.windows
    noise = spread * random.normal(size=(len(windows), len(names)))
    values = (centres[windows.y] + noise).astype(np.float32)
    others = replace(windows, feature_set=CONTENT_SET, feature_names=names, X=values)
    return replace(heard, windows=others)


def test_it_is_pooled_with_the_head_on_contents_embedding(
    heard: HeardTracks, tmp_path: Path
) -> None:
    other = content_head.answered(embedded(heard, 4.0))
    for folder in (tmp_path / "one", tmp_path / "two"):
        report = genre_head.make(heard, split_of(heard), folder, "2026-01-01", other)
        content_head.make(other, split_of(heard), folder, "2026-01-01")
    for name in (genre_head.NAME, content_head.NAME):
        files = [(tmp_path / f / f"{name}.onnx").read_bytes() for f in ("one", "two")]
        card = (tmp_path / "one" / f"{name}.md").read_text()
        assert files[0] == files[1]
        assert hashlib.sha256(files[0]).hexdigest() in card
        assert "{" not in card
    assert report.pool
    metadata = load_model(tmp_path / "one" / f"{genre_head.NAME}.onnx").metadata
    assert (metadata.pooled_with, metadata.pool_weights) == (content_head.NAME, report.pool.weights)
    assert report.pool.gain > 0, "the other values are of help"
    assert report.pool.windows.accuracy == pytest.approx(report.windows.accuracy + report.pool.gain)
    assert report.pool.valid_count == len(split_of(heard).valid)
    assert report.pool.windows.row_ece < 0.1


def test_windows_of_other_audio_are_not_pooled(heard: HeardTracks) -> None:
    other = embedded(heard, 1.0)
    fewer = replace(other, windows=other.windows.rows(np.arange(10, len(other.windows))))
    with pytest.raises(DataError, match="not of the same windows"):
        genre_head.assess(heard, split_of(heard), content_head.answered(fewer))


def test_embeddings_are_read_for_the_tracks_of_the_split(tmp_path: Path) -> None:
    path = tmp_path / EMBEDDINGS.name
    values = np.arange(2 * 5 * 200, dtype=np.float32).reshape(2, 5, 200)
    np.savez(path, track=np.array(["jazz.00001", "pop.00002"]), embedding=values)
    data = read_pairs(path, frozenset({"pop.00002"}))
    assert np.array_equal(data.X, values[1])
    assert set(data.y.tolist()) == {GENRES.index("pop")}


@pytest.mark.parametrize("shape", [(2, 200), (3, 5, 200), (2, 5, 100)])
def test_embeddings_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / EMBEDDINGS.name
    np.savez(path, track=np.array(["jazz.00001", "pop.00002"]), embedding=np.zeros(shape))
    with pytest.raises(DataError, match="needed are"):
        read_pairs(path, frozenset({"pop.00002"}))
    with pytest.raises(DataError, match="no embeddings"):
        read_pairs(tmp_path / "absent.npz", frozenset())
