"""Command lines of the training room, added to ``genrestream`` by an entry point.

Only the standard library and typer are imported here: ``genrestream --help`` must not wait for
TensorFlow, and must work without the ``training`` extra.
"""

import functools
import importlib.util
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, ParamSpec

import typer

from schemas import GENRES
from training.errors import MissingExtraError

P = ParamSpec("P")

_EXTRA: Final = (
    "keras matplotlib onnx pandas pyarrow skl2onnx sklearn tensorflow tf2onnx".split()  # noqa: SIM905
)
_LABELS: Final = ",".join(GENRES)


class SplitName(StrEnum):
    """The ways to divide tracks."""

    RANDOM = "random"
    K_FOLD = "k-fold"
    FAULT_FILTERED = "fault-filtered"
    ARTIST = "artist"


def needs(*packages: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Make a command say what to install where packages of the training extra are missing."""

    def checks(command: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(command)
        def checked(*args: P.args, **kwargs: P.kwargs) -> None:
            missing = [name for name in packages if importlib.util.find_spec(name) is None]
            if missing:
                raise MissingExtraError(
                    f"training needs {', '.join(missing)}: pip install 'genrestream[training]'"
                )
            command(*args, **kwargs)

        return checked

    return checks


Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]
Tables = Annotated[
    list[Path], typer.Option("--data", help="Table of features, CSV or Parquet; may be repeated.")
]
DataFolder = Annotated[Path, typer.Option("--data", help="Folder with tables/ and splits/.")]
SplitOption = Annotated[SplitName, typer.Option("--split", help="How to divide the tracks.")]
Splits = Annotated[Path | None, typer.Option(help="Folder of the lists of fixed splits.")]
Fold = Annotated[int, typer.Option(min=1, help="Which fold of k-fold (5) or artist (3).")]
FeatureSetName = Annotated[str, typer.Option(help="Name of the feature set.")]
Labels = Annotated[str, typer.Option(help="Genres, comma-separated, in the order of the output.")]
Processes = Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.")]


@needs("pandas", "pyarrow")
def extract(
    folder: Annotated[Path, typer.Argument(help="One folder of audio a genre.")],
    output: Output,
    feature_set: FeatureSetName = "librosa-52",
    window_seconds: Annotated[
        float | None, typer.Option(min=1.0, help="In place of the service's window.")
    ] = None,
    processes: Processes = None,
) -> None:
    """Compute the features of every window of a folder of audio into a table."""
    from training import commands

    commands.extract(folder, output, feature_set, window_seconds, processes)


@needs("matplotlib")
def spectrogram(
    source: Annotated[Path, typer.Argument(help="An audio file, or a folder of them.")],
    output: Output,
) -> None:
    """Draw mel spectrograms with axes and colour bar as PNG."""
    from training import commands

    commands.spectrogram(source, output)


@needs(*_EXTRA)
def train(
    estimator: Annotated[
        str,
        typer.Argument(
            help="mlp, random-forest, extra-trees, logistic, svm, hist-gradient-boosting, "
            "ensemble, discriminant or lda."
        ),
    ],
    data: Tables,
    output: Output,
    feature_set: FeatureSetName = "librosa-52",
    split: SplitOption = SplitName.RANDOM,
    splits: Splits = None,
    fold: Fold = 1,
    seed: Seed = 0,
    search: Annotated[bool, typer.Option("--search", help="Search the grid first.")] = False,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="mlp: stop after so many epochs without a better loss."),
    ] = None,
    keep_valid: Annotated[
        bool, typer.Option("--keep-valid", help="Leave the valid side unseen.")
    ] = False,
    artists: Annotated[
        Path | None, typer.Option(help="Artists by track, to weigh rows by (discriminant).")
    ] = None,
    labels: Labels = _LABELS,
    unknown_below: Annotated[
        float, typer.Option(min=0, max=1, help="Confidence below which the answer is unknown.")
    ] = 0.0,
) -> None:
    """Fit a model on a table and write it as ONNX, with its card beside it."""
    from training import commands

    rows = commands.load(data, feature_set, labels)
    chosen = commands.choose_split(split.value, rows, splits, fold, seed)
    commands.train(
        estimator,
        rows,
        chosen,
        output,
        seed=seed,
        search=search,
        patience=patience,
        keep_valid=keep_valid,
        artists=artists,
        unknown_below=unknown_below,
    )


@needs(*_EXTRA)
def evaluate(
    model: Annotated[Path, typer.Argument(help="An ONNX file of ours.")],
    data: Tables,
    output: Output,
    split: SplitOption = SplitName.FAULT_FILTERED,
    splits: Splits = None,
    fold: Fold = 1,
    seed: Seed = 0,
    whole: Annotated[
        bool, typer.Option("--all", help="All rows of the table, whatever the split.")
    ] = False,
    artists: Annotated[
        Path | None,
        typer.Option(help="Artists by track, to score artists apart that it was not fitted to."),
    ] = None,
    other_sounds: Annotated[
        Path | None,
        typer.Option(help="Folder of clips that are none of the labels: how many get one."),
    ] = None,
) -> None:
    """Score a model on tracks that it has not seen: report.html and report.json."""
    from training import commands

    chosen = None if whole else split.value
    commands.evaluate(
        model, data, output, chosen, splits, fold, seed, artists=artists, other_sounds=other_sounds
    )


@needs(*_EXTRA)
def study(
    output: Output,
    data: DataFolder,
    seeds: Annotated[int, typer.Option(min=1, help="Random splits a forest.")] = 20,
    network_seeds: Annotated[int, typer.Option(min=1, help="Random splits of the network.")] = 5,
    search: Annotated[bool, typer.Option(help="Repeat the study's grid search.")] = True,
) -> None:
    """Repeat the study: its three models, by its protocol and by the honest one."""
    from training import commands

    commands.study(data, output, seeds, network_seeds, search)


@needs(*_EXTRA)
def train_shipped(
    output: Output,
    data: DataFolder,
    only: Annotated[str | None, typer.Option(help="Name of one model.")] = None,
    date: Annotated[
        str | None,
        typer.Option(help="Of the files, ISO 8601; by default that of the shipped ones."),
    ] = None,
) -> None:
    """Make the shipped models and their cards again."""
    from training import shipped_commands

    shipped_commands.train_shipped(data, output, only, date)


@needs(*_EXTRA)
def compare_heads(output: Output, data: DataFolder) -> None:
    """Score all candidates for the genre head, by the folds and the rule that chose it."""
    from training import shipped_commands

    shipped_commands.compare_heads(data, output)


@needs(*_EXTRA)
def build_musicnn(
    output: Output = Path("models/embeddings"),
    wheel: Annotated[
        Path | None,
        typer.Option(help="The musicnn wheel or its checkpoint's folder; by default pip gets it."),
    ] = None,
) -> None:
    """Make the network behind the feature set musicnn-200 again, from its authors' checkpoint."""
    from training import shipped_commands

    shipped_commands.build_musicnn(wheel, output)


@needs(*_EXTRA)
def build_musicnn_int8(
    output: Output = Path("models/embeddings"),
    wheel: Annotated[
        Path | None,
        typer.Option(help="The musicnn wheel or its checkpoint's folder; by default pip gets it."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Measure anew how loud its filters get, on GTZAN's train side in there."),
    ] = None,
) -> None:
    """Make the network behind the feature set musicnn-200-int8 again, from the same checkpoint."""
    from training import shipped_commands

    shipped_commands.build_musicnn_int8(wheel, data, output)


@needs(*_EXTRA)
def build_tags(
    output: Output = Path("models/tags"),
    wheel: Annotated[
        Path | None,
        typer.Option(help="The musicnn wheel or its checkpoint's folder; by default pip gets it."),
    ] = None,
) -> None:
    """Make MusiCNN's own 50 tags again, heads of kind multi on musicnn-200 and musicnn-200-int8."""
    from training import shipped_commands

    shipped_commands.build_tags(wheel, output)


@needs(*_EXTRA)
def build_ced(
    output: Output = Path("models/embeddings"),
    crate: Annotated[
        Path | None,
        typer.Option(help="The .crate file of soundevents 0.5.0; by default cargo gets it."),
    ] = None,
) -> None:
    """Make the network that tells music, speech and other sound apart, from CED-Tiny's weights."""
    from training import shipped_commands

    shipped_commands.build_ced(crate, output)


@needs(*_EXTRA)
def train_content(
    clips: Annotated[Path, typer.Argument(help="Folder with a folder of recordings a source.")],
    crate: Annotated[
        Path | None,
        typer.Option(help="The .crate file of soundevents 0.5.0; by default cargo gets it."),
    ] = None,
    output: Output = Path("training/networks"),
) -> None:
    """Fit what tells music, speech and other sound apart, for build-ced to put on top of CED."""
    from training import shipped_commands

    shipped_commands.train_content(clips, crate, output)


def register(app: typer.Typer) -> None:
    """Add the training commands to the command line."""
    app.command()(extract)
    app.command()(spectrogram)
    app.command()(train)
    app.command()(evaluate)
    app.command()(study)
    app.command("train-shipped")(train_shipped)
    app.command("compare-heads")(compare_heads)
    app.command("build-musicnn")(build_musicnn)
    app.command("build-musicnn-int8")(build_musicnn_int8)
    app.command("build-tags")(build_tags)
    app.command("build-ced")(build_ced)
    app.command("train-content")(train_content)
