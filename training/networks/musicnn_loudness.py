"""How loud the answers of MusiCNN's front end get on music: what 8 bits have to reach.

``genrestream build-musicnn-int8 --data DATA`` measures it; the figures lie beside this file.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from features import mono_blocks, open_file, resample, split_blocks
from features.embeddings.log_mel import N_SAMPLES, SAMPLE_RATE, LogMel, log_mel
from features.embeddings.musicnn import INPUT_NAME
from features.feature_sets import WINDOW_SECONDS
from features.onnx_session import open_session
from schemas.errors import AudioError
from training.data.audio_folders import find_audio
from training.data.heard_tracks import AUDIO_FOLDERS
from training.data.splits import fault_filtered
from training.models.export import OPSETS
from training.networks import musicnn_graph
from training.networks.musicnn_layers import MusiCNN, Weights

#: Measured on the train side of GTZAN: an array a block of the front end.
FILE: Final = Path(__file__).with_suffix(".npz")
#: Louder than what was measured by so much is not cut off.
MARGIN: Final = np.float32(1.1)
#: Of a filter that never answers.
_LEAST: Final = np.float32(1e-3)


def read(path: Path = FILE) -> tuple[Weights, ...]:
    """Return the largest answer of each filter [shape=(filters,) each block]."""
    with np.load(path, allow_pickle=False) as file:
        return tuple(file[name] for name in sorted(file.files))


def write(loudest: Iterable[Weights], path: Path = FILE) -> None:
    """Write what `read` returns; the same values give the same bytes."""
    blocks: dict[str, Any] = {f"block{number}": values for number, values in enumerate(loudest)}
    np.savez(path, **blocks)


def train_side(data: Path) -> Iterator[LogMel]:
    """Yield the log-mel frames of all windows of the train side of GTZAN.

    Parameters
    ----------
    data
        Folder with ``gtzan/`` and ``splits/``.
    """
    tracks = fault_filtered(data / "splits").train
    for folder in AUDIO_FOLDERS:
        for file in find_audio(data / "gtzan" / folder)[0]:
            if file.track in tracks:
                yield from _patches(file.path)


def _patches(path: Path) -> Iterator[LogMel]:
    try:
        with open_file(path) as sound:
            for window in split_blocks(mono_blocks(sound), sound.sample_rate, WINDOW_SECONDS):
                yield log_mel(np.resize(resample(window.audio, SAMPLE_RATE), N_SAMPLES))
    except AudioError:
        return  # what was heard before it broke counts


def measure(network: MusiCNN, patches: Iterable[LogMel]) -> tuple[Weights, ...]:
    """Return the largest answer of each filter, after its ReLU, and a margin.

    Parameters
    ----------
    network
        The weights.
    patches
        Log-mel frames [shape=(187, 96)].

    Returns
    -------
    An array a block of the front end [shape=(filters,)].
    """
    session = open_session(musicnn_graph.front_end(network, OPSETS[""]).SerializeToString())
    scale = np.concatenate([block.norm.scale for block in network.front_end])
    shift = np.concatenate([block.norm.shift for block in network.front_end])
    loudest = np.zeros_like(scale)
    for patch in patches:
        (answers,) = session.run(None, {INPUT_NAME: patch[np.newaxis]})
        before = (answers - shift[:, np.newaxis]) / scale[:, np.newaxis]
        loudest = np.maximum(loudest, before.max(axis=1))
    alive = np.concatenate([block.alive for block in network.front_end])
    reached = np.maximum(loudest * np.where(alive, MARGIN, np.float32(1)), _LEAST)
    ends = np.cumsum([len(block.bias) for block in network.front_end])[:-1]
    return tuple(np.split(reached, ends))
