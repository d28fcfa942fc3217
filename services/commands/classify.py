"""``genrestream classify``: label files without Kafka."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from schemas import GenrePrediction, TagPrediction
from schemas.errors import AudioError, SettingsError
from services.classifier.classifier import Classifier
from services.classifier.model import load_heads, load_model
from services.classifier.tags import Tagging
from services.console.audio_chunks import audio_files
from services.console.display import said
from services.console.file_classifier import FileClassifier
from services.console.parts import LabelWriter, PartWriter, part_writer
from services.settings import Settings
from terminal.processes import map_in_processes, usable_processors
from terminal.progress import progress_bar

#: Fewer files are done before another process has started.
_FILES_FOR_PROCESSES: Final = 8


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """The arguments of ``genrestream classify``."""

    paths: Sequence[Path]
    json_lines: bool = False
    labels_from_dirs: bool = False
    jobs: int | None = None
    as_csv: bool = False
    labels: Path | None = None


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """The answer for a file, or why there is none."""

    path: Path
    prediction: GenrePrediction | None
    error: str | None = None
    notes: tuple[str, ...] = ()
    tags: tuple[TagPrediction, ...] = ()


def classify(settings: Settings, request: ClassifyRequest) -> int:
    """Label files and print a line each.

    Returns
    -------
    The exit code: 1 when a file could not be read.

    Raises
    ------
    ModelError
        The model cannot be used.
    FileNotFoundError
        A path does not exist, or no audio is in it.
    """
    stderr = Console(stderr=True)
    report = partial(stderr.print, style="yellow", markup=False, soft_wrap=True)
    files = [file for path in request.paths for file in audio_files(path, report)]
    classifier = create_file_classifier(settings)  # before any process: errors come once
    answers: list[FileAnswer] = []
    with progress_bar(stderr) as progress, _mapper(settings, classifier, files, request) as mapped:
        for answer in progress.track(mapped, total=len(files), description="classifying"):
            answers.append(answer)
            _print(answer, request, stderr)
    if request.labels_from_dirs:
        _print_accuracy(answers, request)
    failed = sum(answer.error is not None for answer in answers)
    if failed:
        stderr.print(
            f"{failed} of {len(files)} files could not be read", style="red", soft_wrap=True
        )
    return 1 if failed else 0


def classify_segments(settings: Settings, request: ClassifyRequest) -> int:
    """Print the parts of files: from when to when they have which label.

    Returns
    -------
    The exit code: 1 when a file could not be read.

    Raises
    ------
    SettingsError
        Labels for one file are asked for, and there are several.
    ModelError, FileNotFoundError
        As `classify` raises them.
    """
    report = partial(Console(stderr=True).print, style="yellow", markup=False, soft_wrap=True)
    files = [file for path in request.paths for file in audio_files(path, report)]
    if request.labels and len(files) != 1:
        raise SettingsError(f"--labels writes the parts of one file, but there are {len(files)}")
    classifier = create_file_classifier(settings)
    with ExitStack() as resources:
        writers = [part_writer(json_lines=request.json_lines, as_csv=request.as_csv)]
        if request.labels:
            output = resources.enter_context(request.labels.open("w", encoding="utf-8"))
            writers.append(LabelWriter(output))
        read = [_write_parts(classifier, file, writers) for file in files]
    return 0 if all(read) else 1


def _write_parts(classifier: FileClassifier, file: Path, writers: Sequence[PartWriter]) -> bool:
    """Write the parts of a file as they end; tell whether all of it could be read."""
    for writer in writers:
        writer.begin(file)
    try:
        for segment in classifier.segments(file):
            for writer in writers:
                writer.write(file, segment)
    except (AudioError, OSError) as error:
        text = f"{file}: {error}"
        Console(stderr=True).print(text, style="red", markup=False, soft_wrap=True)
        return False
    return True


def create_file_classifier(settings: Settings) -> FileClassifier:
    """Load the model that the settings name."""
    model = load_model(settings.model_path)
    music_only = model.is_of_music if settings.content is None else settings.content
    return FileClassifier(
        Classifier(
            model,
            settings.silence_dbfs,
            settings.unknown_below,
            music_only=music_only,
            now_seconds=settings.now_seconds,
            change_seconds=settings.change_seconds,
            tagging=Tagging(
                load_heads(settings.head_paths, model), settings.tags_top, settings.tags_from
            ),
        ),
        settings.wants_content([model.metadata.feature_set]),
        settings.content_every,
    )


def answer_file(classifier: FileClassifier, path: Path) -> FileAnswer:
    """Label one file; a file that cannot be used is an answer too."""
    try:
        answer, notes = classifier.hear(path)
        return FileAnswer(path, answer.prediction, notes=notes, tags=answer.tags)
    except (AudioError, OSError) as error:
        return FileAnswer(path, None, str(error))


@contextmanager
def _mapper(
    settings: Settings, classifier: FileClassifier, files: Sequence[Path], request: ClassifyRequest
) -> Iterator[Iterator[FileAnswer]]:
    """Answer files in order, by several processes when there are many."""
    jobs = request.jobs or usable_processors()
    if jobs == 1 or len(files) < _FILES_FOR_PROCESSES:
        yield (answer_file(classifier, file) for file in files)
        return
    with closing(
        map_in_processes(_answer_in_process, files, jobs, _start_process, (settings,))
    ) as answers:
        yield answers


_process: dict[str, FileClassifier] = {}


def _start_process(settings: Settings) -> None:
    _process["classifier"] = create_file_classifier(settings)


def _answer_in_process(path: Path) -> FileAnswer:
    return answer_file(_process["classifier"], path)


def _print(answer: FileAnswer, request: ClassifyRequest, stderr: Console) -> None:
    prediction = answer.prediction
    if request.json_lines:
        _write(json.dumps(_to_json(answer, request)))
    elif prediction:
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        others = "  ".join(f"{name} {p:.3f}" for name, p in ranked)
        line = f"{answer.path}  {prediction.label}  {prediction.confidence:.3f}"
        _write(f"{line}  [{others}]" if others else line)
        for tagged in answer.tags:
            _write(f"    {tagged.model.name}  {said(tagged.tags)}")
    if answer.error:
        stderr.print(f"{answer.path}: {answer.error}", style="red", markup=False, soft_wrap=True)
    elif answer.notes:
        more = f" (and {len(answer.notes) - 1} more)" if len(answer.notes) > 1 else ""
        text = f"{answer.path}: {answer.notes[0]}{more}"
        stderr.print(text, style="yellow", markup=False, soft_wrap=True)


def _to_json(answer: FileAnswer, request: ClassifyRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {"file": str(answer.path)}
    if request.labels_from_dirs:
        fields["true_label"] = answer.path.parent.name
    if answer.prediction is None:
        return fields | {"error": answer.error}
    prediction = answer.prediction
    fields |= {
        "label": prediction.label,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities,
        "windows": prediction.windows,
        "model": prediction.model.name,
    }
    tags = {tagged.model.name: tagged.tags for tagged in answer.tags}
    return fields | {"tags": tags} if tags else fields


def _print_accuracy(answers: Sequence[FileAnswer], request: ClassifyRequest) -> None:
    """Print the share of right labels; a file without an answer counts as wrong."""
    right = sum(
        answer.prediction is not None and answer.prediction.label == answer.path.parent.name
        for answer in answers
    )
    total = len(answers)
    if request.json_lines:
        summary = {"accuracy": right / total, "correct": right, "files": total}
        _write(json.dumps(summary))
    else:
        _write(f"accuracy {right / total:.1%}  ({right} of {total} files)")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
