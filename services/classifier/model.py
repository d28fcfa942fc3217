"""An ONNX model of the classifier, checked in words before it is trusted."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features import CONTENT_SET, FEATURE_SETS, feature_set
from features.onnx_session import open_session
from schemas import GENRES, INPUT_NAME, OUTPUT_NAME, ModelMetadata, ModelReference
from schemas.errors import ModelError
from schemas.model_files import card_path, read_model
from schemas.onnx_files import has_external_data
from services.classifier.trial import try_out

logger = logging.getLogger(__name__)

_SHIPPED: Final = Path(__file__).parents[2] / "models"
_RETRAIN: Final = "export the model again with genrestream train"


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model.

    Attributes
    ----------
    metadata
        What the file says of itself.
    session
        The ONNX Runtime session.
    pooled_with
        The model that is asked, too, where there is one.
    """

    metadata: ModelMetadata
    session: Any
    pooled_with: "Model | None" = None

    @property
    def reference(self) -> ModelReference:
        """Name and version, as predictions state them."""
        return ModelReference(self.metadata.name, self.metadata.version)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the K classes."""
        return self.metadata.labels

    @property
    def is_of_music(self) -> bool:
        """Whether it names genres; a head of other labels may be for any sound."""
        return not set(GENRES).isdisjoint(self.labels)

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model.

        Parameters
        ----------
        features
            One row a window [shape=(n, D), float32].

        Returns
        -------
        Probabilities of the labels [shape=(n, K), float32].
        """
        (result,) = self.session.run([OUTPUT_NAME], {INPUT_NAME: features})
        return np.asarray(result, np.float32)


def load_model(path: Path) -> Model:
    """Load an ONNX file, and check that it is one for the classifier.

    Raises
    ------
    ModelError
        The file is missing, damaged or not that of its card, or its inputs, labels or feature set
        do not fit.
    """
    model = _load(path, "model", _SHIPPED)
    if model.metadata.kind != "single":
        raise ModelError(
            f"{path.name}: it is of kind {model.metadata.kind!r}, tags by themselves: name it in "
            "GENRESTREAM_HEADS, and a model of kind 'single' in GENRESTREAM_MODEL"
        )
    name = model.metadata.pooled_with
    if not name:
        return model
    return replace(model, pooled_with=_load_pooled(model, path.with_name(f"{name}.onnx")))


def load_heads(paths: Sequence[Path], model: Model) -> tuple[Model, ...]:
    """Load heads of kind ``multi``, which are asked beside a model for the same vectors.

    Raises
    ------
    ModelError
        As `load_model`; or one is of another kind or feature set, or two have one name.
    """
    heads = tuple(_load(path, "head", _SHIPPED / "tags") for path in paths)
    names = {model.metadata.name}
    for path, head in zip(paths, heads, strict=True):
        found = head.metadata
        if found.kind != "multi":
            raise ModelError(
                f"{path.name}: it is of kind {found.kind!r}: name it in GENRESTREAM_MODEL of a "
                "classifier of its own; GENRESTREAM_HEADS are of kind 'multi'"
            )
        if found.pooled_with:
            raise ModelError(f"{path.name}: a head of tags is pooled with none: {_RETRAIN}")
        if found.feature_set != model.metadata.feature_set:
            raise ModelError(
                f"head {found.name} is of feature set {found.feature_set}, the model "
                f"{model.metadata.name} of {model.metadata.feature_set}: both hear the same "
                "vectors; choose another head, such as tags-musicnn-200-int8 for "
                "lda-musicnn-200-int8, or another model"
            )
        if found.name in names:
            raise ModelError(f"{found.name} is served already: name it once, or rename one")
        names.add(found.name)
    return heads


def _load(path: Path, what: str, shipped: Path) -> Model:
    """Load a file, which is tried out before where it is not ours."""
    if not path.is_file():
        names = sorted(file.stem for file in shipped.glob("*.onnx"))
        raise ModelError(
            f"there is no {what} {path}: give the path of an ONNX file or one of the shipped "
            f"{what}s, {', '.join(names) or 'of which there are none'}"
        )
    if not is_shipped(path):
        try_out(path)
    return load_tried(path)


def _load_pooled(model: Model, path: Path) -> Model:
    """Load what a model is pooled with; it has the same labels, and is pooled with none itself."""
    try:
        if not path.is_file():
            raise ModelError(f"there is no model {path}: copy both files")
        if not is_shipped(path):
            try_out(path)
        other = load_tried(path)
    except ModelError as error:
        raise ModelError(
            f"{model.metadata.name} is pooled with {path.stem}, but {error}"
        ) from error
    found = other.metadata
    fits = (found.kind, found.feature_set, found.labels) == ("single", CONTENT_SET, model.labels)
    if not fits or found.pooled_with:
        raise ModelError(
            f"{model.metadata.name} is to be pooled with {found.name}, which is of kind "
            f"{found.kind}, of feature set {found.feature_set} and has labels "
            f"{', '.join(found.labels)[:200]}: needed are single, {CONTENT_SET}, the same labels, "
            "and no third model"
        )
    return other


def is_shipped(path: Path) -> bool:
    """Tell whether a file is one of ours, wherever links lead."""
    return path.resolve().parent in (_SHIPPED.resolve(), (_SHIPPED / "tags").resolve())


def load_tried(path: Path) -> Model:
    """Load a file that was tried out, or came with this release.

    Raises
    ------
    ModelError
        As `load_model`.
    """
    data = read_model(path, needs_card=is_shipped(path))
    if has_external_data(data):
        raise ModelError(
            f"{path} takes weights from other files: export it with all weights in one file"
        )
    if not card_path(path).is_file():
        logger.info("%s has no card: it is taken as it is", path)
    try:
        session = open_session(data)
    except ValueError as error:
        raise ModelError(f"{path} is no model that ONNX Runtime loads: {error}") from error
    try:
        metadata = ModelMetadata.from_props(session.get_modelmeta().custom_metadata_map)
        _check(session, metadata)
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}") from error
    return Model(metadata, session)


def _check(session: Any, metadata: ModelMetadata) -> None:
    """Compare the graph and what it says of itself with what the classifier needs."""
    if metadata.feature_set not in FEATURE_SETS:
        raise ModelError(
            f"it was trained on feature set {metadata.feature_set!r}, "
            f"this release has {', '.join(FEATURE_SETS)}: use a model of one of these"
        )
    names = feature_set(metadata.feature_set).names
    if metadata.feature_names != names:
        raise ModelError(
            f"its {len(metadata.feature_names)} feature names are not the {len(names)} of "
            f"{metadata.feature_set}: {_RETRAIN}"
        )
    if not metadata.labels or len(set(metadata.labels)) != len(metadata.labels):
        raise ModelError(f"its labels {metadata.labels} are empty or not unique: {_RETRAIN}")
    _check_input(session.get_inputs(), len(names))
    _check_output(session, metadata)


def _check_input(nodes: list[Any], width: int) -> None:
    found = ", ".join(f"{node.name} {node.type} {node.shape}" for node in nodes)
    fits = (
        len(nodes) == 1
        and nodes[0].name == INPUT_NAME
        and nodes[0].type == "tensor(float)"
        and len(nodes[0].shape) == 2
        and not isinstance(nodes[0].shape[0], int)
        and nodes[0].shape[1] == width
    )
    if not fits:
        raise ModelError(
            f"its graph takes {found}, needed is {INPUT_NAME} tensor(float) [n, {width}]: "
            f"{_RETRAIN}"
        )


def _check_output(session: Any, metadata: ModelMetadata) -> None:
    """Run two rows: exporters often leave the shape of an output open."""
    width, classes = len(metadata.feature_names), len(metadata.labels)
    found = [node.name for node in session.get_outputs()]
    if found != [OUTPUT_NAME]:
        raise ModelError(f"its graph gives {', '.join(found)}, needed is {OUTPUT_NAME}: {_RETRAIN}")
    (rows,) = session.run([OUTPUT_NAME], {INPUT_NAME: np.zeros((2, width), np.float32)})
    if metadata.kind == "multi":
        if rows.shape != (2, classes) or not ((rows >= 0) & (rows <= 1)).all():
            raise ModelError(
                f"two rows of features give shape {rows.shape} with values from {rows.min()} to "
                f"{rows.max()}, needed are probabilities of shape (2, {classes}): {_RETRAIN}"
            )
    elif rows.shape != (2, classes) or not np.allclose(rows.sum(axis=1), 1.0, atol=1e-3):
        raise ModelError(
            f"two rows of features give shape {rows.shape} with sums {rows.sum(axis=-1)}, needed "
            f"are probabilities of shape (2, {classes}) that sum to 1: {_RETRAIN}"
        )


def require_feature_set(model: Model, feature_sets: tuple[str, ...]) -> None:
    """Refuse a model whose feature set the extractor is told not to emit.

    Raises
    ------
    ModelError
        The settings name feature sets, and the model's is not among them.
    """
    wanted = model.metadata.feature_set
    if feature_sets and wanted not in feature_sets:
        raise ModelError(
            f"model {model.metadata.name} needs feature set {wanted}, but "
            f"GENRESTREAM_FEATURE_SETS={','.join(feature_sets)}: add {wanted} or choose another "
            "model"
        )
