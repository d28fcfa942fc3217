"""What the training commands do: read, compute, write, and tell the user."""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from schemas.errors import AudioError
from terminal.processes import usable_processors
from terminal.progress import progress_bar
from training.data import splits as splits_
from training.data.audio_folders import AudioFile, Skipped, audio_below, copies, find_audio
from training.data.datasets import Dataset, join
from training.data.splits import Split
from training.data.tables import known_feature_set, load_table
from training.errors import DataError

if TYPE_CHECKING:
    from training.evaluation.rejection import OtherSounds


def extract(
    folder: Path,
    output: Path,
    feature_set: str,
    window_seconds: float | None,
    processes: int | None,
) -> None:
    """Extract a folder into a table; a stopped run goes on where it was."""
    from training.data import extraction

    window = window_seconds or known_feature_set(feature_set).window_seconds
    extraction.check_output(output)
    files, skipped = find_audio(folder)
    partial = extraction.PartialResults(output.with_suffix(output.suffix + ".partial"))
    todo, done = extraction.pending(files, partial.load(), feature_set, window)
    if done:
        remark(f"{len(done)} of {len(files)} files were extracted before, going on")
    results = list(done)
    with progress_bar() as progress:
        task = progress.add_task("extracting", total=len(files), completed=len(done))
        for result in extraction.extract_files(
            todo, feature_set, window, processes or usable_processors()
        ):
            partial.append(result)
            results.append(result)
            progress.advance(task)
    table, broken = extraction.to_table(results, feature_set)
    extraction.write_table(table, output)
    partial.remove()
    _tell_skipped([*skipped, *broken])
    for group in copies(files):
        remark(f"same bytes, kept on one side of every split: {' = '.join(group)}")
    typer.echo(f"{output}: {len(table)} windows of {table['track'].nunique()} tracks")


def spectrogram(source: Path, output: Path) -> None:
    """Draw one file, or every file below a folder."""
    from training.data.spectrograms import draw_file

    files = _sources(source)
    skipped = []
    with progress_bar() as progress:
        for file in progress.track(files, description="drawing"):
            try:
                draw_file(file.path, output / f"{file.track}.png")
            except (AudioError, OSError) as error:
                skipped.append(Skipped(file.path, str(error)))
    _tell_skipped(skipped)
    if len(skipped) == len(files):
        raise DataError(f"no file of {source} could be drawn: docs/formats.md lists what is heard")
    typer.echo(f"{output}: {len(files) - len(skipped)} spectrograms")


def _sources(source: Path) -> list[AudioFile]:
    if source.is_dir():
        return audio_below(source)
    if not source.is_file():
        raise DataError(f"no file or folder {source}: give audio to draw")
    return [AudioFile(source, source.name, "")]


def load(tables: Sequence[Path], feature_set: str, labels: str) -> Dataset:
    """Read tables and tell of duplicate and broken tracks."""
    names = tuple(label.strip() for label in labels.split(",") if label.strip())
    if len(set(names)) != len(names) or len(names) < 2:
        raise DataError(f"--labels {labels!r}: give at least two different genres")
    data = join([load_table(table, feature_set, names) for table in tables])
    for text in data.remarks():
        remark(text)
    return data


def choose_split(name: str, data: Dataset, folder: Path | None, fold: int, seed: int) -> Split:
    """Return a split by name; `fold` counts from 1, `folder` has the lists of fixed splits."""
    if name == "random":
        return splits_.random_split(data, seed)
    if folder is None and name in ("fault-filtered", "artist"):
        raise DataError(f"the split {name} is a list of tracks: name its folder by --splits")
    folder = folder or Path()
    if name == "fault-filtered":
        return splits_.fault_filtered(folder)
    folds = splits_.artist_folds(folder) if name == "artist" else splits_.k_folds(data, 5, seed)
    if fold > len(folds):
        raise DataError(f"--fold {fold}: {name} has folds 1 to {len(folds)}")
    return folds[fold - 1]


def train(
    estimator: str,
    data: Dataset,
    split: Split,
    output: Path,
    *,
    seed: int,
    search: bool,
    patience: int | None,
    keep_valid: bool,
    artists: Path | None,
    unknown_below: float = 0.0,
) -> None:
    """Fit, export and write ``output`` with its card, plots and tables beside it."""
    from training.data.artists import read_artists
    from training.evaluation.onnx_evaluation import parse_model
    from training.models import fitting
    from training.shipped.cards import card

    if output.suffix != ".onnx":
        raise DataError(f"cannot write {output.name}: name an .onnx file")
    if patience is not None and estimator != "mlp":
        raise DataError(f"--patience is for mlp, not {estimator}: leave it out")
    output.parent.mkdir(parents=True, exist_ok=True)
    parameters: dict[str, Any] = {} if patience is None else {"patience": patience}
    if search:
        parameters |= _search(estimator, data, split, seed, output)
    fitted = fitting.fit(
        estimator,
        data,
        split,
        seed,
        parameters,
        keep_valid=keep_valid,
        artists=read_artists(artists) if artists else None,
    )
    figures = {"accuracy": fitted.scores.accuracy, "ece": fitted.scores.ece}
    file = fitting.to_file(fitted, today(), figures, name=output.stem, unknown_below=unknown_below)
    output.write_bytes(file)
    metadata = parse_model(file, output.name).metadata
    output.with_suffix(".md").write_text(card(metadata, file, fitted), encoding="utf-8")
    _write_learning_curve(fitted.estimator, output)
    typer.echo(
        f"{output}: {fitted.scores.accuracy:.1%} of {fitted.scores.count} test tracks of "
        f"{split.name} ({fitted.scores.accuracy_low:.1%} to {fitted.scores.accuracy_high:.1%})"
    )


def _search(estimator: str, data: Dataset, split: Split, seed: int, output: Path) -> dict[str, Any]:
    from training.models.grid_search import search

    best, table = search(estimator, data, split, seed)
    table.to_csv(output.with_suffix(".search.csv"), index=False)
    typer.echo(table.to_string(index=False, float_format="{:.4f}".format))
    return dict(best)


def _write_learning_curve(estimator: object, output: Path) -> None:
    from training.evaluation import plots

    history = getattr(estimator, "history_", None)
    if history:
        output.with_suffix(".learning-curve.png").write_bytes(
            plots.png(plots.learning_curve(history))
        )


def evaluate(
    model_path: Path,
    tables: Sequence[Path],
    output: Path,
    split: str | None,
    folder: Path | None,
    fold: int,
    seed: int,
    artists: Path | None = None,
    other_sounds: Path | None = None,
) -> None:
    """Evaluate an ONNX file into ``report.html`` and ``report.json``."""
    from training.data.artists import read_artists
    from training.evaluation import onnx_evaluation as evaluation
    from training.evaluation import rejection, report

    model = evaluation.load_model(model_path)
    metadata = model.metadata
    data = load(tables, metadata.feature_set, ",".join(metadata.labels))
    if split is None:
        name, test = "all rows", frozenset(data.track_rows)
    else:
        chosen = choose_split(split, data, folder, fold, seed)
        splits_.check(chosen, data)
        name, test = f"{chosen.name}: test", chosen.test
    evaluation.check_unseen(model, data, test)
    index = read_artists(artists) if artists else None
    result = evaluation.evaluate(model, data, test, name, seed, index)
    if other_sounds:
        clips = rejection.extract_clips(other_sounds, metadata.feature_set)
        result = msgspec.structs.replace(result, other_sounds=evaluation.other_sounds(model, clips))
    title = f"{metadata.name} on {name}"
    report.write(output, report.page(title, report.evaluation_sections(result)), result)
    for kind, scores in (("window", result.by_window), ("track", result.by_track)):
        typer.echo(
            f"by {kind}: {scores.accuracy:.1%} of {scores.count} ({scores.accuracy_low:.1%} to "
            f"{scores.accuracy_high:.1%}), top-3 {scores.top3:.1%}, macro F1 "
            f"{scores.macro_f1:.3f}, ECE {scores.ece:.3f}"
        )
    if result.new_artists:
        new = result.new_artists
        typer.echo(
            f"by artists that it was not fitted to: {new.accuracy:.1%} ± {new.standard_error:.1%} "
            f"of {new.tracks} tracks by {new.artists}"
        )
    if result.other_sounds:
        _say_other_sounds(result.other_sounds)
    typer.echo(f"{output / 'report.html'}")


def _say_other_sounds(sounds: "OtherSounds") -> None:
    typer.echo(
        f"other sounds: {sounds.clips_labelled:.1%} of {sounds.clips} clips get a label by the "
        "head alone; their windows, by folder:"
    )
    for found in sounds.confusion:
        typer.echo(
            f"  {found.folder or '-'}: {found.windows} windows, {found.music:.1%} music, "
            f"{found.speech:.1%} speech, {found.other:.1%} other; {found.labelled:.1%} get a "
            f"label, {found.labelled_as_music:.1%} where what is no music has none"
        )


def study(data: Path, output: Path, seeds: int, network_seeds: int, search: bool) -> None:
    """Repeat the study and write its report."""
    from training.evaluation.study import repeat, write_report

    with progress_bar() as progress:
        task = progress.add_task("study", total=None)
        result = repeat(
            data,
            seeds=seeds,
            network_seeds=network_seeds,
            search=search,
            on_step=lambda text: progress.update(task, description=text),
        )
    typer.echo(write_report(result, output))
    typer.echo(f"{output / 'report.html'}")


def today() -> str:
    """Return the date in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def remark(text: str) -> None:
    """Tell the user something on stderr."""
    typer.echo(f"note: {text}", err=True)


def _tell_skipped(skipped: Iterable[Skipped]) -> None:
    for file in skipped:
        typer.echo(f"skipped {file.path}: {file.reason}", err=True)
