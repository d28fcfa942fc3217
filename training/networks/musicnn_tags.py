"""MusiCNN's own 50 tags as a head on `musicnn-200`: the last layer of the same checkpoint."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from features import feature_set
from schemas import INPUT_NAME, OUTPUT_NAME, ModelMetadata
from training.models.export import OPSETS, finish
from training.networks.musicnn_checkpoint import NETWORK, PACKAGE
from training.networks.musicnn_file import LICENCE
from training.networks.musicnn_layers import EPSILON, Weights

if TYPE_CHECKING:
    import onnx

FEATURE_SET: Final = "musicnn-200"
NAME: Final = f"tags-{FEATURE_SET}"
CREATED: Final = "2026-11-25"
#: The 50 most frequent tags of the Million Song Dataset, in the order of the network's output.
TAGS: Final = (
    "rock",
    "pop",
    "alternative",
    "indie",
    "electronic",
    "female vocalists",
    "dance",
    "00s",
    "alternative rock",
    "jazz",
    "beautiful",
    "metal",
    "chillout",
    "male vocalists",
    "classic rock",
    "soul",
    "indie rock",
    "Mellow",
    "electronica",
    "80s",
    "folk",
    "90s",
    "chill",
    "instrumental",
    "punk",
    "oldies",
    "blues",
    "hard rock",
    "ambient",
    "acoustic",
    "experimental",
    "female vocalist",
    "guitar",
    "Hip-Hop",
    "70s",
    "party",
    "country",
    "easy listening",
    "sexy",
    "catchy",
    "funk",
    "electro",
    "heavy metal",
    "Progressive rock",
    "60s",
    "rnb",
    "indie pop",
    "sad",
    "House",
    "happy",
)

_CARD: Final = """\
# {name} 1.0.0

sha256: {sha256}

MusiCNN's own 50 tags of what it hears (`{feature_set}`): the last layer of the same checkpoint. Its
kind is `multi`: each tag has a probability by itself, and they do not sum to 1.

| | |
|---|---|
| input | `features` float32 (N, 200), as [the network](../embeddings/musicnn-200.md) gives them |
| output | `probabilities` float32 (N, 50) |
| tags | {tags} |
| weights | `{network}` of the PyPI package `{package}` |
| created | {created} |

`genrestream build-tags` makes this file again; a test compares it with the checkpoint's own
TensorFlow graph, to 1e-4.

## Limits

- Tags are what listeners of Last.fm wrote; some mean the same. Not calibrated here.
- The classifier service does not serve heads of this kind yet, and refuses the file.

## Licence of the weights

{licence}"""


def tag_probabilities(
    variables: Mapping[str, Weights], embedding: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Compute the tags of embeddings [shape=(n, 200)] as the checkpoint says [shape=(n, 50)]."""
    kernel, bias = _layer(variables)
    logits = np.maximum(embedding, 0) @ kernel + bias
    probabilities: NDArray[np.float32] = 1 / (1 + np.exp(-logits))
    return probabilities


def _layer(variables: Mapping[str, Weights]) -> tuple[Weights, Weights]:
    """Return the last layer with the normalisation before it [shape=(200, 50), (50,)]."""
    gamma, beta, mean, variance = (
        variables[f"batch_normalization_10/{part}"]
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + np.float32(EPSILON))
    kernel = variables["dense_1/kernel"]
    bias = variables["dense_1/bias"] + (beta - mean * scale) @ kernel
    return scale[:, np.newaxis] * kernel, bias


def to_onnx(variables: Mapping[str, Weights], created: str) -> bytes:
    """Return the ONNX file."""
    metadata = ModelMetadata(
        name=NAME,
        version="1.0.0",
        feature_set=FEATURE_SET,
        feature_names=feature_set(FEATURE_SET).names,
        labels=TAGS,
        training_data="Million Song Dataset, by the network's authors",
        split="",
        metrics={},
        created=created,
        kind="multi",
    )
    return finish(_graph(*_layer(variables)), metadata, {"licence": LICENCE})


def _graph(kernel: Weights, bias: Weights) -> "onnx.ModelProto":
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node("Relu", [INPUT_NAME], ["heard"]),
        helper.make_node("Gemm", ["heard", "kernel", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], [OUTPUT_NAME]),
    ]
    tensors = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, NAME, [], [], tensors)
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSETS[""])], producer_name="genrestream"
    )
    return model


def make(variables: Mapping[str, Weights], output: Path, created: str = CREATED) -> Path:
    """Write the file and its card into a folder."""
    file = to_onnx(variables, created)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{NAME}.onnx"
    path.write_bytes(file)
    card = _CARD.format(
        name=NAME,
        sha256=hashlib.sha256(file).hexdigest(),
        feature_set=FEATURE_SET,
        tags=", ".join(TAGS),
        network=NETWORK,
        package=PACKAGE,
        created=created,
        licence=LICENCE,
    )
    path.with_suffix(".md").write_text(card, encoding="utf-8")
    return path
