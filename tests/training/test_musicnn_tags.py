"""MusiCNN's own tags: the file, its card, and the checkpoint's graph."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from features.embeddings.log_mel import log_mel
from features.embeddings.musicnn import embed
from tests.training.musicnn_reference import CLIPS, tag_logits
from tests.training.test_musicnn_layers import checkpoint  # noqa: F401 - a fixture
from training.evaluation.onnx_evaluation import load_model
from training.models.export import predictor
from training.networks.musicnn_checkpoint import read_checkpoint
from training.networks.musicnn_tags import FEATURE_SETS, TAGS, head_name, to_onnx

FOLDER = Path(__file__).parents[2] / "models" / "tags"
FILE = FOLDER / f"{head_name(FEATURE_SETS[0])}.onnx"


@pytest.mark.parametrize("recipe", FEATURE_SETS)
def test_the_file_is_that_of_its_card_and_of_kind_multi(recipe: str) -> None:
    file = FOLDER / f"{head_name(recipe)}.onnx"
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert re.findall(r"^sha256: ([0-9a-f]{64})$", card, re.M) == [digest]
    metadata = load_model(file).metadata
    assert (metadata.name, metadata.feature_set) == (head_name(recipe), recipe)
    assert (metadata.kind, metadata.labels, len(set(TAGS))) == ("multi", TAGS, 50)


def test_both_files_hold_one_layer() -> None:
    rows = np.random.default_rng(0).standard_normal((9, 200)).astype(np.float32)
    one, other = (predictor((FOLDER / f"{head_name(x)}.onnx").read_bytes()) for x in FEATURE_SETS)
    assert one(rows).tobytes() == other(rows).tobytes()


def test_tags_are_those_of_the_checkpoints_graph(checkpoint: Path) -> None:  # noqa: F811
    patches = np.array([log_mel(y) for y in CLIPS.values()])
    expected = 1 / (1 + np.exp(-tag_logits(checkpoint, patches)))
    found = predictor(FILE.read_bytes())(np.array([embed(patch) for patch in patches]))
    assert expected.max() > 0.5
    assert np.abs(found - expected).max() <= 1e-4
    variables = read_checkpoint(checkpoint)
    for recipe in FEATURE_SETS:
        file = FOLDER / f"{head_name(recipe)}.onnx"
        assert to_onnx(variables, load_model(file).metadata.created, recipe) == file.read_bytes()
