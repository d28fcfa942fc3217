"""Hear the windows of the audio at hand by every network, once, into one file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import features
from features import Samples
from features.embeddings import content, musicnn
from features.embeddings.log_mel import N_FRAMES, N_MELS, log_mel
from features.feature_sets import WINDOW_SECONDS
from features.onnx_session import open_session
from schemas import GENRES
from training.data.audio_folders import find_audio
from training.data.datasets import Dataset
from training.data.heard_tracks import AUDIO_FOLDERS
from training.data.splits import fault_filtered
from training.networks import musicnn_checkpoint as checkpoint
from training.networks import musicnn_layers as layers
from training.networks.musicnn_layers import MusiCNN

Floats = NDArray[np.float32]

#: Copies of each window with parts of its spectrogram masked (SpecAugment, Park et al. 2019).
COPIES: Final = 3
#: Masks of each copy over bands and over frames, and the widest of them.
N_MASKS: Final = 2
WIDEST_BANDS: Final = 12
WIDEST_FRAMES: Final = 30
RATE: Final = 16_000
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """Windows of audio of train and valid, as the networks hear them.

    Attributes
    ----------
    tracks
        Of each window [shape=(n,)].
    musicnn, mtt
        The 200 values of the networks of MSD and MTT [shape=(n, 200)].
    ced
        What content's last layer is given [shape=(n, 192)].
    pooled
        Maxima and means over time of MSD's channels, [max, mean] of the first, then of the next
        [shape=(n, 1506)].
    """

    tracks: NDArray[np.str_]
    musicnn: Floats
    mtt: Floats
    ced: Floats
    pooled: Floats

    def dataset(self, *values: Floats) -> Dataset:
        """Arrange some of the values as rows."""
        rows = np.concatenate(values, axis=1)
        genres = [GENRES.index(track.split(".")[0]) for track in self.tracks.tolist()]
        return Dataset(
            name="audio",
            feature_set=musicnn.FILE.stem,
            feature_names=tuple(f"value_{i}" for i in range(rows.shape[1])),
            labels=GENRES,
            X=rows,
            y=np.array(genres, np.int64),
            tracks=self.tracks,
        )


@dataclass(frozen=True, slots=True)
class Tunable:
    """What the layers to be tuned are given: of each window as it is, then of masked copies.

    Attributes
    ----------
    sequences
        Answers of the second convolution over time [shape=(1 + COPIES, n, 187, 64), float16].
    fixed
        Maxima and means of all channels before [shape=(1 + COPIES, n, D), float32].
    """

    sequences: NDArray[np.float16]
    fixed: Floats


def windows(data: Path) -> Iterator[tuple[str, Samples]]:
    """Cut all audio of train and valid into windows of 16 kHz, as services do."""
    fitting = fault_filtered(data / "splits").fitting
    for name in AUDIO_FOLDERS:
        files, _ = find_audio(data / "gtzan" / name)
        for file in files:
            if file.track in fitting:
                with features.open_file(file.path) as sound:
                    blocks = features.mono_blocks(sound)
                    for window in features.split_blocks(blocks, sound.sample_rate, WINDOW_SECONDS):
                        audio = features.resample(window.audio, RATE)
                        yield file.track, np.resize(audio, content.N_SAMPLES)


def hear(data: Path, wheel: Path) -> tuple[Heard, Tunable]:
    """Run every network on every window."""
    tracks, patches, embeddings, ced = [], [], [], []
    under_content = _under_content()
    for track, y in windows(data):
        tracks.append(track)
        patches.append(log_mel(y))
        embeddings.append(musicnn.embed(patches[-1]))
        power = content.power_spectra(y)[np.newaxis]
        ced.append(under_content.run(None, {content.INPUT_NAME: power})[0][0])
    msd, mtt = (read_network(wheel, name) for name in ("MSD_musicnn", "MTT_musicnn"))
    whole = np.array(patches, np.float32)
    pooled, tunable = _pool(msd, whole)
    heard = Heard(np.array(tracks), np.array(embeddings), _embed(mtt, whole), np.array(ced), pooled)
    return heard, tunable


def read_network(wheel: Path, name: str) -> MusiCNN:
    """Read one of the networks of the wheel."""
    import tempfile
    import zipfile

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        prefix = f"musicnn/{name}/"
        archive.extractall(folder, [n for n in archive.namelist() if n.startswith(prefix)])
        return layers.from_checkpoint(checkpoint.read_checkpoint(Path(folder) / prefix))


def _under_content() -> Any:
    """Open content's network up to what its last layer is given."""
    import onnx

    model = onnx.load(content.FILE)
    last = next(node for node in reversed(model.graph.node) if node.op_type == "MatMul")
    del model.graph.output[:]
    shape: list[str | int | None] = ["n", 192]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(last.input[0], onnx.TensorProto.FLOAT, shape)
    )
    return open_session(model.SerializeToString())


def masked(patches: Floats, random: np.random.Generator) -> Floats:
    """Mask bands and frames of log-mel patches by each patch's mean [shape=(n, 187, 96)]."""
    copies = patches.copy()
    for patch in copies:
        mean = patch.mean()
        for axis, size, widest in ((1, N_MELS, WIDEST_BANDS), (0, N_FRAMES, WIDEST_FRAMES)):
            for _ in range(N_MASKS):
                width = random.integers(0, widest + 1)
                start = random.integers(0, size - width + 1)
                part = slice(start, start + width)
                patch[(slice(None), part) if axis else part] = mean
    return copies


def _embed(network: MusiCNN, patches: Floats) -> Floats:
    model = layers.build(layers.prune(network))
    found: Floats = np.concatenate(
        [
            np.asarray(model(patches[i : i + _BATCH], training=False))
            for i in range(0, len(patches), _BATCH)
        ]
    )
    return found


def _pool(network: MusiCNN, patches: Floats) -> tuple[Floats, Tunable]:
    """Pool over time, and keep what the layers to be tuned are given."""
    import keras

    model = layers.build(layers.prune(network))
    sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    parts = keras.Model(model.input, [model.layers[-1].input, sums[0].output])
    random = np.random.default_rng(0)
    sequences, fixed = [], []
    pooled = np.zeros((0, 0), np.float32)
    for copy in range(1 + COPIES):
        pools, answers = [], []
        for start in range(0, len(patches), _BATCH):
            batch = patches[start : start + _BATCH]
            both = parts(masked(batch, random) if copy else batch, training=False)
            pools.append(np.asarray(both[0]))
            answers.append(np.asarray(both[1], np.float16))
        found = np.concatenate(pools)
        pooled = pooled if copy else _expand(network, found)
        sequences.append(np.concatenate(answers))
        fixed.append(found)
    return pooled, Tunable(np.array(sequences), np.array(fixed))


def _expand(network: MusiCNN, pooled: Floats) -> Floats:
    """Give pooled values of the pruned network the places that they have in the whole one."""
    maxima, means = np.split(pooled, 2, axis=1)
    alive = np.concatenate([block.alive for block in network.front_end])
    constant = np.concatenate([block.constant for block in network.front_end])
    first = network.mid_end[0]
    order = np.argsort(~first.alive, kind="stable")
    whole = []
    for values in (maxima, means):
        full = np.tile(np.concatenate([constant, first.constant]), (len(values), 1))
        front = int(alive.sum())
        full[:, : len(alive)][:, alive] = values[:, :front]
        kept = int(first.alive.sum())
        full[:, len(alive) :][:, first.alive] = values[:, front + 1 : front + 1 + kept]
        later = values[:, front + 2 + kept :].reshape(len(values), 2, -1)
        unordered = np.empty_like(later)
        unordered[:, :, order] = later
        whole.append(np.concatenate([full, unordered.reshape(len(values), -1)], axis=1))
    return np.stack(whole, axis=2).reshape(len(pooled), -1).astype(np.float32)


def save(heard: Heard, tunable: Tunable, path: Path) -> None:
    """Keep what was heard."""
    np.savez(
        path,
        tracks=heard.tracks,
        musicnn=heard.musicnn,
        mtt=heard.mtt,
        ced=heard.ced,
        pooled=heard.pooled,
        sequences=tunable.sequences,
        fixed=tunable.fixed,
    )


def load(path: Path) -> tuple[Heard, Tunable]:
    """Read it again."""
    with np.load(path, allow_pickle=False) as arrays:
        heard = Heard(
            arrays["tracks"], arrays["musicnn"], arrays["mtt"], arrays["ced"], arrays["pooled"]
        )
        return heard, Tunable(arrays["sequences"], arrays["fixed"])
