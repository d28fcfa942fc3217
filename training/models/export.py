"""Fitted estimators to ONNX files that answer alike, or an error.

The graph takes ``features`` float32 [shape=(N, D)] and gives ``probabilities`` float32
[shape=(N, K)]; scaling is inside. Nothing is pickled.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from features.onnx_session import open_session
from schemas import INPUT_NAME, OUTPUT_NAME, ModelMetadata
from training.data.datasets import Features, Probabilities
from training.errors import ExportError
from training.models.estimators import Classifier

if TYPE_CHECKING:
    import onnx

#: Operator sets that onnxruntime 1.14 and later run.
OPSETS: Final = {"": 18, "ai.onnx.ml": 3}
IR_VERSION: Final = 8
#: Largest difference of a probability between the ONNX file and the original.
TOLERANCE: Final = 1e-5


def to_onnx(
    estimator: Classifier, metadata: ModelMetadata, extra: Mapping[str, str] | None = None
) -> bytes:
    """Convert a fitted estimator.

    Parameters
    ----------
    estimator
        Fitted to D features and K classes.
    metadata
        Goes into ``metadata_props``, as the classifier service reads it.
    extra
        More of these, which services ignore.

    Returns
    -------
    The ONNX file; the same estimator and metadata always give the same bytes.
    """
    return finish(_convert(estimator, len(metadata.feature_names)), metadata, extra)


def finish(
    model: "onnx.ModelProto", metadata: ModelMetadata, extra: Mapping[str, str] | None = None
) -> bytes:
    """Give a graph its inputs, outputs and metadata, and return the file's bytes."""
    _tidy(model, metadata)
    props = metadata.to_props() | dict(extra or {})
    del model.metadata_props[:]
    for key in sorted(props):
        model.metadata_props.add(key=key, value=props[key])
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _convert(estimator: Classifier, width: int) -> "onnx.ModelProto":
    own_converter = getattr(estimator, "to_onnx", None)
    if own_converter is not None:
        own: onnx.ModelProto = own_converter(OPSETS[""])
        return own
    import warnings

    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    with warnings.catch_warnings():
        # skl2onnx 1.20 reads attributes that scikit-learn 1.11 drops with SVC(probability=True),
        # which we do not use.
        warnings.filterwarnings("ignore", "Attribute `prob[AB]_`", FutureWarning)
        # It also writes truth values of boosted trees as integers, which protobuf 7.34 refuses.
        warnings.filterwarnings("ignore", "Field onnx.AttributeProto.ints", DeprecationWarning)
        model = skl2onnx.convert_sklearn(
            estimator,
            name="genrestream",
            initial_types=[(INPUT_NAME, FloatTensorType([None, width]))],
            target_opset=OPSETS,
            options={"zipmap": False},
        )
    selected: onnx.ModelProto = select_model_inputs_outputs(model, outputs=[OUTPUT_NAME])
    return selected


def _tidy(model: "onnx.ModelProto", metadata: ModelMetadata) -> None:
    """Give the file one shape, whichever converter wrote it.

    Names that count conversions go, so do initializers that only the removed label output needed
    (ONNX Runtime warns of each) and operator sets listed twice.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    graph.name = metadata.name
    model.doc_string = graph.doc_string = ""
    used = {name for node in graph.node for name in node.input}
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    _replace(graph.value_info, [])
    for ends, name, width in (
        (graph.input, INPUT_NAME, len(metadata.feature_names)),
        (graph.output, OUTPUT_NAME, len(metadata.labels)),
    ):
        _replace(ends, [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])])
    domains = sorted({node.domain for node in graph.node})
    _replace(model.opset_import, [helper.make_opsetid(name, OPSETS[name]) for name in domains])
    model.ir_version = IR_VERSION


def _replace(field: Any, values: Sequence[Any]) -> None:
    """Give a repeated field of a protocol buffer new content."""
    del field[:]
    field.extend(values)


def predictor(data: bytes) -> Callable[[Features], Probabilities]:
    """Load an ONNX file into ONNX Runtime, on one thread.

    Returns
    -------
    A function from features [shape=(n, D)] to probabilities [shape=(n, K)].
    """
    session = open_session(data)

    def predict(X: Features) -> Probabilities:
        (probabilities,) = session.run([OUTPUT_NAME], {INPUT_NAME: X})
        return np.asarray(probabilities, np.float64)

    return predict


def check_parity(data: bytes, estimator: Classifier, X: Features) -> float:
    """Refuse an ONNX file that answers unlike the original.

    Parameters
    ----------
    data
        The ONNX file.
    estimator
        The original.
    X
        Rows to compare on [shape=(n, D)].

    Returns
    -------
    The largest difference of a probability.

    Raises
    ------
    ExportError
        A probability differs by more than `TOLERANCE`, or a label where the two likeliest are
        further apart than that.
    """
    expected = np.asarray(estimator.predict_proba(X), np.float64)
    predict = predictor(data)
    found = np.concatenate([predict(X[:1]), predict(X[1:])])
    difference = float(np.abs(expected - found).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"ONNX Runtime's probabilities differ by {difference:.1e} from the original's, at "
            f"most {TOLERANCE:.0e} is allowed: do not ship this file"
        )
    second, first = np.sort(expected, axis=1)[:, -2:].T
    clear = first - second >= TOLERANCE
    wrong = clear & (expected.argmax(axis=1) != found.argmax(axis=1))
    if wrong.any():
        raise ExportError(
            f"{int(wrong.sum())} of {len(X)} labels differ between ONNX Runtime and the original: "
            "do not ship this file"
        )
    return difference
