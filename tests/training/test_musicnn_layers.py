"""The network behind `musicnn-200`: the authors' weights, their graph, and the shipped file."""

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import features
from features.embeddings import musicnn as serving
from features.embeddings.log_mel import N_FRAMES, N_MELS, SAMPLE_RATE, log_mel
from features.onnx_session import open_session
from tests.conftest import ROOT
from tests.training.musicnn_reference import penultimate
from training.errors import DataError
from training.networks import musicnn_layers as musicnn
from training.networks.musicnn_checkpoint import read_checkpoint, unpack
from training.networks.musicnn_file import LICENCE, make
from training.networks.musicnn_graph import to_onnx
from training.networks.musicnn_layers import Block, MusiCNN, Normalisation, Weights

TOLERANCE = 1e-4
PATCHES = 3 * np.random.default_rng(1).random((3, N_FRAMES, N_MELS), np.float32)


def random_network(dead: float = 0.0) -> MusiCNN:
    """Make a network with the shape of MusiCNN, but fewer filters, a share of them dead."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> Weights:
        return random.normal(scale=0.2, size=shape).astype(np.float32)

    def block(*shape: int) -> Block:
        kernel, filters = weights(*shape), shape[-1]
        kernel[..., 1:][..., random.random(filters - 1) < dead] = 0.0
        return Block(kernel, weights(filters), Normalisation(weights(filters), weights(filters)))

    shapes = [(7, 38, 1, 8), (7, 67, 1, 8), (128, 1, 1, 4), (64, 1, 1, 4), (32, 1, 1, 4)]
    front_end = tuple(block(*shape) for shape in shapes)
    mid_end = tuple(block(7, channels, 6) for channels in (28, 6, 6))
    one = np.ones(1, np.float32)
    return MusiCNN(
        Normalisation(0.4 * one, -0.2 * one), front_end, mid_end, weights(46, 2, 5), weights(5)
    )


def answers(network: MusiCNN) -> NDArray[np.float32]:
    return np.asarray(musicnn.build(network)(PATCHES, training=False))


def test_pruning_dead_filters_changes_nothing() -> None:
    whole = random_network(dead=0.7)
    pruned = musicnn.prune(whole)
    counts = [sum(len(block.bias) for block in n.front_end) for n in (whole, pruned)]
    assert counts[1] < 0.6 * counts[0]
    assert len(pruned.mid_end[0].bias) < len(whole.mid_end[0].bias) == len(pruned.mid_end[1].bias)
    assert np.abs(answers(whole) - answers(pruned)).max() < 1e-5
    assert np.ptp(answers(whole), axis=0).max() > 0.01


def test_pruning_leaves_living_filters_alone() -> None:
    whole = random_network()
    pruned = musicnn.prune(whole)
    assert [len(block.bias) for block in pruned.front_end] == [8, 8, 4, 4, 5]
    assert [len(block.bias) for block in pruned.mid_end] == [6, 6, 6]
    assert np.abs(answers(whole) - answers(pruned)).max() < 1e-5


@pytest.mark.parametrize("dead", [0.0, 0.7])
def test_the_graph_answers_as_the_layers_do(dead: float) -> None:
    network = musicnn.prune(random_network(dead))
    session = open_session(to_onnx(network, 18).SerializeToString())
    found = [session.run(None, {serving.INPUT_NAME: one[None]})[0] for one in PATCHES]
    expected = answers(network)
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5 * np.abs(expected).max())


def test_the_card_is_of_the_shipped_file() -> None:
    card = serving.FILE.with_suffix(".md").read_text(encoding="utf-8")
    digest = hashlib.sha256(serving.FILE.read_bytes()).hexdigest()
    assert re.findall(r"^sha256: ([0-9a-f]{64})$", card, re.M) == [digest]
    assert LICENCE in card
    assert serving.FILE.stat().st_size < 3_200_000


def test_a_file_that_is_no_wheel_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"other\.whl does not open"):
        read_checkpoint(other)
    with pytest.raises(DataError, match="holds no checkpoint"):
        read_checkpoint(tmp_path)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the authors' checkpoint; ``pip download --no-deps musicnn`` gets the wheel."""
    named = os.environ.get("MUSICNN_WHEEL")
    wheels = [Path(named)] if named else sorted((ROOT / ".cache" / "musicnn").glob("*.whl"))
    if not wheels:
        pytest.skip("no wheel of musicnn: name it by MUSICNN_WHEEL, or put it in .cache/musicnn")
    return unpack(wheels[-1], tmp_path_factory.mktemp("musicnn"))


@pytest.mark.data
def test_the_shipped_embedding_is_that_of_the_checkpoints_graph_on_20_clips(
    data_dir: Path, checkpoint: Path
) -> None:
    files = sorted((data_dir / "gtzan" / "lossless").glob("*/*.flac"))[::2]
    assert len(files) == 20
    patches = np.array([patch(path, 10 + number) for number, path in enumerate(files)])
    expected = penultimate(checkpoint, patches)
    found = np.array([serving.embed(one) for one in patches])
    assert np.abs(expected).max() > 5.0
    assert np.abs(found - expected).max() <= TOLERANCE


def patch(path: Path, start_seconds: int) -> NDArray[np.float32]:
    """Return the log-mel frames of 3 s of a file."""
    audio = features.read_file(path)
    first = start_seconds * audio.sample_rate // 2
    window = audio.samples[first : first + 3 * audio.sample_rate]
    return log_mel(features.resample(features.Audio(window, audio.sample_rate), SAMPLE_RATE))


def test_the_shipped_file_is_made_again(tmp_path: Path, checkpoint: Path) -> None:
    made = make(read_checkpoint(checkpoint), tmp_path, "2026-11-22")
    assert made.with_suffix(".md").is_file()
    import onnxruntime

    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    rows = np.concatenate(
        [session.run([serving.OUTPUT_NAME], {serving.INPUT_NAME: one[None]})[0] for one in PATCHES]
    )
    shipped = np.array([serving.embed(one) for one in PATCHES])
    assert np.abs(rows - shipped).max() <= 1e-5
