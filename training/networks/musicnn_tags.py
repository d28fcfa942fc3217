"""MusiCNN's own 50 tags as heads on its embedding: the last layer of the same checkpoint."""

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

#: The embedding, and the same by the network in 8 bits: one layer, and a head for each.
FEATURE_SETS: Final = ("musicnn-200", "musicnn-200-int8")
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
| input | `features` float32 (N, 200), as [the network](../embeddings/{feature_set}.md) gives them |
| output | `probabilities` float32 (N, 50) |
| tags | {tags} |
| weights | `{network}` of the PyPI package `{package}` |
| created | {created} |

`genrestream build-tags` makes this file again. {equality}

`GENRESTREAM_HEADS={name}` has a classifier publish them on `genre.tags`: docs/heads.md.

## Limits

- Tags are what listeners of Last.fm wrote; some mean the same. Not calibrated here.
- Windows of 3 s of 99 GTZAN tracks have 3.7 tags of 10 % and more in the mean, each at least one.

## Licence of the weights

{licence}"""


#: Measured on 972 windows of 99 GTZAN tracks, by both networks.
_EQUALITY: Final = {
    "musicnn-200": """\
A test compares it with the checkpoint's own
TensorFlow graph, to 1e-4.""",
    "musicnn-200-int8": """\
The layer is that of
`tags-musicnn-200`, which equals the checkpoint's own TensorFlow graph to 1e-4; what the network in
8 bits changes of its input makes 0.0013 of a probability (root mean square; most 0.031) on 972
windows of 99 GTZAN tracks, and another tag the first one in 1.7 % of them.""",
}


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


def head_name(recipe: str) -> str:
    """Name the head on a feature set."""
    return f"tags-{recipe}"


def to_onnx(variables: Mapping[str, Weights], created: str, recipe: str = FEATURE_SETS[0]) -> bytes:
    """Return the ONNX file of the head on a feature set."""
    metadata = ModelMetadata(
        name=head_name(recipe),
        version="1.0.0",
        feature_set=recipe,
        feature_names=feature_set(recipe).names,
        labels=TAGS,
        training_data="Million Song Dataset, by the network's authors",
        split="",
        metrics={},
        created=created,
        kind="multi",
    )
    return finish(_graph(*_layer(variables), metadata.name), metadata, {"licence": LICENCE})


def _graph(kernel: Weights, bias: Weights, name: str) -> "onnx.ModelProto":
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node("Relu", [INPUT_NAME], ["heard"]),
        helper.make_node("Gemm", ["heard", "kernel", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], [OUTPUT_NAME]),
    ]
    tensors = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, name, [], [], tensors)
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSETS[""])], producer_name="genrestream"
    )
    return model


def make(
    variables: Mapping[str, Weights], output: Path, created: str = CREATED
) -> tuple[Path, ...]:
    """Write the files and their cards into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    return tuple(_make(variables, output, created, recipe) for recipe in FEATURE_SETS)


def _make(variables: Mapping[str, Weights], output: Path, created: str, recipe: str) -> Path:
    file, name = to_onnx(variables, created, recipe), head_name(recipe)
    path = output / f"{name}.onnx"
    path.write_bytes(file)
    card = _CARD.format(
        name=name,
        sha256=hashlib.sha256(file).hexdigest(),
        feature_set=recipe,
        tags=", ".join(TAGS),
        network=NETWORK,
        package=PACKAGE,
        created=created,
        equality=_EQUALITY[recipe],
        licence=LICENCE,
    )
    path.with_suffix(".md").write_text(card, encoding="utf-8")
    return path
