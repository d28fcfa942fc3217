"""What the commands do that make the files of ``models/`` again."""

import tempfile
from pathlib import Path

import typer

from features import CONTENT_SET
from terminal.progress import progress_bar
from training.commands import extract, remark, today
from training.data.datasets import Dataset, join
from training.data.tables import load_table
from training.errors import DataError


def train_shipped(data: Path, output: Path, only: str | None, created: str | None) -> None:
    """Make the shipped models again; by default with the dates of those that ship."""
    from training.shipped import content_head, genre_head
    from training.shipped.table_models import CREATED, SHIPPED, make

    names = [*(shipped.name for shipped in SHIPPED), *genre_head.NAMES, content_head.NAME]
    if only is not None and only not in names:
        raise DataError(f"no shipped model {only!r}: choose {', '.join(names)}")
    for shipped in SHIPPED:
        if only in (None, shipped.name):
            fitted = make(shipped, data, output, created or CREATED)
            typer.echo(f"{shipped.name}: {fitted.scores.accuracy:.1%} on the fault-filtered test")
    _train_heads(data, output, only, created or genre_head.CREATED)


def _train_heads(data: Path, output: Path, only: str | None, created: str) -> None:
    """Make the heads on MusiCNN, and the one on content's embedding that they are pooled with."""
    from training.shipped import content_head, genre_head

    wanted = [name for name in (*genre_head.NAMES, content_head.NAME) if only in (None, name)]
    if not wanted:
        return
    other, split = content_head.read_heard(data, _windows_at_hand(data, CONTENT_SET))
    if content_head.NAME in wanted:
        accuracy = content_head.make(other, split, output, created)
        typer.echo(f"{content_head.NAME}: {accuracy:.1%} in folds apart by artist")
    for name, feature_set in genre_head.NAMES.items():
        if name in wanted:
            heard, split = genre_head.read_heard(data, _windows_at_hand(data, feature_set))
            report = genre_head.make(heard, split, output, created, other)
            typer.echo(f"{name}: {report.score:.1%} in folds apart by artist")


def _windows_at_hand(data: Path, feature_set: str) -> Dataset:
    """Extract all audio of the data folder."""
    from training.data.heard_tracks import AUDIO_FOLDERS

    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for name in AUDIO_FOLDERS:
            table = Path(folder) / f"{name}.parquet"
            extract(data / "gtzan" / name, table, feature_set, None, None)
            tables.append(load_table(table, feature_set))
    return join(tables)


def compare_heads(data: Path, output: Path) -> None:
    """Score all candidates for the genre head in the same folds, and say which the rule chooses."""
    from training.data.heard_tracks import FEATURE_SET
    from training.shipped import genre_head
    from training.shipped.candidates import CANDIDATES
    from training.shipped.choice import answer_all, choose, outcome
    from training.shipped.comparison import markdown

    heard, _ = genre_head.read_heard(data, _windows_at_hand(data, FEATURE_SET))
    with progress_bar() as progress:
        task = progress.add_task("candidates", total=len(CANDIDATES))

        def step(name: str) -> None:
            progress.update(task, description=name, advance=1)

        answers = answer_all(CANDIDATES, heard, step)
    choice = choose([outcome(c, answers[c.name], heard) for c in CANDIDATES])
    output.write_text(markdown(choice), encoding="utf-8")
    typer.echo(f"{output}: the rule chooses {choice.chosen.candidate.name}")


def build_musicnn(wheel: Path | None, output: Path) -> None:
    """Make the ONNX file of `musicnn-200` again."""
    from training.networks import musicnn_checkpoint as checkpoint
    from training.networks import musicnn_file as embedding

    with tempfile.TemporaryDirectory() as folder:
        source = wheel or checkpoint.download(Path(folder))
        path = embedding.make(checkpoint.read_checkpoint(source), output, today())
    typer.echo(f"{path}: {path.stat().st_size // 1000} kB, answers as the checkpoint's network")


def build_musicnn_int8(wheel: Path | None, data: Path | None, output: Path) -> None:
    """Make the ONNX file of `musicnn-200-int8` again; with data, measure first how loud it gets."""
    from training.networks import musicnn_checkpoint as checkpoint
    from training.networks import musicnn_file as embedding
    from training.networks import musicnn_loudness as loudness
    from training.networks.musicnn_layers import from_checkpoint, prune

    with tempfile.TemporaryDirectory() as folder:
        variables = checkpoint.read_checkpoint(wheel or checkpoint.download(Path(folder)))
    if data is not None:
        network = prune(from_checkpoint(variables))
        loudness.write(loudness.measure(network, loudness.train_side(data)))
        typer.echo(f"{loudness.FILE}: measured")
    path = embedding.make_int8(variables, loudness.read(), output)
    typer.echo(f"{path}: {path.stat().st_size // 1000} kB")


def build_tags(wheel: Path | None, output: Path) -> None:
    """Make the ONNX files of MusiCNN's own tags again."""
    from training.networks import musicnn_checkpoint as checkpoint
    from training.networks import musicnn_tags

    with tempfile.TemporaryDirectory() as folder:
        source = wheel or checkpoint.download(Path(folder))
        paths = musicnn_tags.make(checkpoint.read_checkpoint(source), output)
    for path in paths:
        typer.echo(f"{path}: {len(musicnn_tags.TAGS)} tags")


def build_ced(crate: Path | None, output: Path) -> None:
    """Make the ONNX file that tells music, speech and other sound apart again."""
    from training.networks import ced_crate, content_file

    path = content_file.make(ced_crate.read_crate(crate or ced_crate.download()), output, today())
    typer.echo(f"{path}: {path.stat().st_size // 1000} kB, cut from the crate's network")


def train_content(clips: Path, crate: Path | None, output: Path) -> None:
    """Fit our layer on CED to real clips, and say what it makes of sources held back."""
    from training.data.content_clips import read_clips, read_sources
    from training.networks import ced_crate, content_fitting
    from training.networks.ced_weights import read_weights
    from training.networks.content_file import SOURCES

    network = read_weights(ced_crate.read_crate(crate or ced_crate.download()).network)
    sources = read_sources(SOURCES)
    absent = [source.name for source in sources if not (clips / source.name).is_dir()]
    if absent:
        remark(f"no folder for {', '.join(absent)}: fitted without")
    head, report = content_fitting.fit_content(network, read_clips(clips, sources))
    content_fitting.write(head, report, output)
    for kind in report.kinds:
        typer.echo(
            f"{kind.kind}: {kind.windows} windows, {kind.genre:.1%} get a genre "
            f"({kind.clips_genre:.1%} of {kind.clips} clips), {kind.both:.1%} music and speech"
        )
