"""The authors' own TensorFlow graph of MusiCNN, and golden vectors that it gave.

``python -m tests.training.musicnn_reference WHEEL`` writes the vectors anew.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.log_mel import log_mel
from services.console import synthesis
from tests.audio import clicks, music, noise, square, tone
from training.networks.musicnn_checkpoint import read_checkpoint, unpack

GOLDEN: Final = Path(__file__).parents[1] / "features" / "golden" / "musicnn-200.npz"
RATE: Final = 16_000
_INPUT: Final = "model/Placeholder:0"
_IS_TRAINING: Final = "model/Placeholder_2:0"
_PENULTIMATE: Final = "model/dense/BiasAdd"
_TAGS: Final = "model/dense_1/BiasAdd"

#: Signals of 3 s at 16 kHz, the same everywhere.
CLIPS: Final = {
    "chords": music(3.0, RATE),
    "other chords": music(3.0, RATE, seed=5) * np.float32(0.1),
    "demo": np.resize(synthesis.synthesise_clip(), 3 * RATE),
    "noise": noise(3.0, RATE) * np.float32(0.2),
    "tone": tone(3.0, RATE),
    "square": square(3.0, RATE),
    "clicks": clicks(3.0, RATE),
    "silence": np.zeros(3 * RATE, np.float32),
}


def penultimate(folder: Path, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the graph that lies beside the checkpoint, with the checkpoint's variables.

    Parameters
    ----------
    folder
        Of the checkpoint.
    patches
        Log-mel frames [shape=(n, 187, 96)].

    Returns
    -------
    The penultimate layer before its ReLU [shape=(n, 200)].
    """
    return _run(folder, patches, _PENULTIMATE)


def tag_logits(folder: Path, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the same graph to its end: what the sigmoid takes [shape=(n, 50)]."""
    return _run(folder, patches, _TAGS)


def _run(folder: Path, patches: NDArray[np.float32], output: str) -> NDArray[np.float32]:
    import tensorflow as tf

    v1 = tf.compat.v1
    meta = v1.MetaGraphDef()
    meta.ParseFromString((folder / ".meta").read_bytes())
    # The graph of the training does not import whole into a TensorFlow of today.
    inference = v1.graph_util.extract_sub_graph(meta.graph_def, [output])
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(inference, name="")
        names = {node.name for node in inference.node}
        variables = {
            f"{name}:0": value for name, value in read_checkpoint(folder).items() if name in names
        }
        with v1.Session(graph=graph) as session:
            feed = {_INPUT: patches, _IS_TRAINING: False, **variables}
            result: NDArray[np.float32] = session.run(f"{output}:0", feed)
    return result


def main() -> None:
    """Write the golden vectors."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = unpack(Path(sys.argv[1]), Path(folder))
        rows = penultimate(checkpoint, np.array([log_mel(y) for y in CLIPS.values()]))
    np.savez_compressed(GOLDEN, allow_pickle=False, **dict(zip(CLIPS, rows, strict=True)))


if __name__ == "__main__":
    main()
