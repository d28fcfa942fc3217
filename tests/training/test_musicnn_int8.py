"""`musicnn-200-int8`: its graph, how weights are rounded, how loud it gets, the shipped file."""

import hashlib
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from features.embeddings import musicnn as serving
from features.onnx_session import open_session
from tests.audio import music
from tests.training.musicnn_reference import CLIPS
from tests.training.test_musicnn_layers import PATCHES, checkpoint, random_network
from training.errors import ExportError
from training.networks import musicnn_file, musicnn_loudness
from training.networks.musicnn_checkpoint import read_checkpoint
from training.networks.musicnn_graph import to_onnx as to_float
from training.networks.musicnn_int8 import round_alike, to_onnx
from training.networks.musicnn_layers import prune

__all__ = ["checkpoint"]

#: Of the sums of two products, which some processors keep in 16 bits.
LARGEST_PAIR = 2**15 - 1


def run(model: "onnx.ModelProto") -> NDArray[np.float32]:
    model.ir_version = 8
    session = open_session(model.SerializeToString())
    return np.concatenate([session.run(None, {serving.INPUT_NAME: p[None]})[0] for p in PATCHES])


@pytest.mark.parametrize("dead", [0.0, 0.7])
def test_the_graph_answers_nearly_as_the_one_in_float32(dead: float) -> None:
    network = prune(random_network(dead))
    loudest = musicnn_loudness.measure(network, PATCHES)
    expected, found = run(to_float(network, 18)), run(to_onnx(network, loudest, 18))
    assert expected.std() > 0.1
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.02 * expected.std()


def test_answers_louder_than_measured_are_cut_off() -> None:
    network = prune(random_network())
    loudest = musicnn_loudness.measure(network, PATCHES)
    quiet = tuple(values * np.float32(0.25) for values in loudest)
    assert np.abs(run(to_onnx(network, quiet, 18)) - run(to_float(network, 18))).max() > 0.1


def test_loudness_is_the_largest_answer_and_a_margin(tmp_path: Path) -> None:
    network = prune(random_network(dead=0.7))
    loudest = musicnn_loudness.measure(network, PATCHES)
    one = musicnn_loudness.measure(network, PATCHES[:1])
    assert all((a >= b).all() for a, b in zip(loudest, one, strict=True))
    assert any((a > b).any() for a, b in zip(loudest, one, strict=True))
    assert loudest[-1][-1] == 1.0  # of the filter that answers 1
    musicnn_loudness.write(loudest, tmp_path / "loudness.npz")
    again = musicnn_loudness.read(tmp_path / "loudness.npz")
    assert [a.tolist() for a in again] == [a.tolist() for a in loudest]


def test_rounding_makes_up_for_its_errors_where_neighbours_hear_the_same() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(scale=3.0, size=(20, 60))
    likeness = 0.97 ** np.abs(np.subtract.outer(np.arange(60), np.arange(60))) + 1.0
    heard = random.multivariate_normal(np.zeros(60), likeness, size=500).T
    rounded = round_alike(rows, likeness)
    assert (rounded == np.rint(rounded)).all()
    assert np.abs(rounded - rows).max() > 0.5  # not each to its nearest
    plain = np.std((np.rint(rows) - rows) @ heard)
    assert np.std((rounded - rows) @ heard) < 0.5 * plain


def test_what_changes_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = prune(random_network())
    quiet = [values * np.float32(0.02) for values in musicnn_loudness.measure(network, PATCHES)]
    file = to_onnx(network, quiet, 18)
    file.ir_version = 8
    with pytest.raises(ExportError, match="8 bits change the embedding by"):
        musicnn_file._check_int8(file.SerializeToString(), network)


def test_products_of_the_shipped_file_fit_into_16_bits_in_pairs() -> None:
    """Else a processor without VNNI would cut them off, and hear something else."""
    graph = onnx.load(serving.INT8_FILE).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    (limit,) = (node.input[1] for node in graph.node if node.op_type == "Min")
    convolutions = [node for node in graph.node if node.op_type == "QLinearConv"]
    assert len(convolutions) == 5
    for node in convolutions:
        weights = np.abs(constants[node.input[3]].astype(int))
        assert weights.max() > 40
        assert 2 * weights.max() * int(constants[limit].max()) <= LARGEST_PAIR


def test_the_card_is_of_the_shipped_file() -> None:
    card = serving.INT8_FILE.with_suffix(".md").read_text(encoding="utf-8")
    digest = hashlib.sha256(serving.INT8_FILE.read_bytes()).hexdigest()
    assert re.findall(r"^sha256: ([0-9a-f]{64})$", card, re.M) == [digest]
    assert musicnn_file.LICENCE in card


@pytest.mark.parametrize("clip", CLIPS)
def test_the_shipped_file_is_near_the_one_in_float32(clip: str) -> None:
    expected, found = serving.embedding(CLIPS[clip]), serving.embedding_int8(CLIPS[clip])
    assert np.corrcoef(expected, found)[0, 1] > 0.99
    assert (expected != found).any()


def test_a_window_has_the_same_bits_after_any_other() -> None:
    y = music(3.0, 16_000)
    expected = serving.embedding_int8(y).tobytes()
    serving.embedding_int8(CLIPS["noise"])
    assert serving.embedding_int8(y).tobytes() == expected


def test_the_shipped_file_is_made_again_byte_for_byte(tmp_path: Path, checkpoint: Path) -> None:
    loudest = musicnn_loudness.read()
    made = musicnn_file.make_int8(read_checkpoint(checkpoint), loudest, tmp_path)
    assert made.read_bytes() == serving.INT8_FILE.read_bytes()
    card = serving.INT8_FILE.with_suffix(".md").read_text(encoding="utf-8")
    assert made.with_suffix(".md").read_text(encoding="utf-8") == card
