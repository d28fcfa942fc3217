"""MusiCNN's own tags: the file, its card, and the checkpoint's graph."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from features.embeddings.log_mel import log_mel
from features.embeddings.musicnn import embed
from schemas.errors import ModelError
from services.classifier.model import load_model as load_for_service
from tests.training.musicnn_reference import CLIPS, tag_logits
from tests.training.test_musicnn_layers import checkpoint  # noqa: F401 - a fixture
from training.evaluation.onnx_evaluation import load_model
from training.models.export import predictor
from training.networks.musicnn_checkpoint import read_checkpoint
from training.networks.musicnn_tags import NAME, TAGS, to_onnx

FILE = Path(__file__).parents[2] / "models" / "tags" / f"{NAME}.onnx"


def test_the_file_is_that_of_its_card_and_of_kind_multi() -> None:
    card = FILE.with_suffix(".md").read_text(encoding="utf-8")
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert re.findall(r"^sha256: ([0-9a-f]{64})$", card, re.M) == [digest]
    metadata = load_model(FILE).metadata
    assert (metadata.kind, metadata.labels, len(set(TAGS))) == ("multi", TAGS, 50)


def test_the_classifier_refuses_tags_in_words() -> None:
    with pytest.raises(ModelError, match="of kind 'multi'"):
        load_for_service(FILE)


def test_tags_are_those_of_the_checkpoints_graph(checkpoint: Path) -> None:  # noqa: F811
    patches = np.array([log_mel(y) for y in CLIPS.values()])
    expected = 1 / (1 + np.exp(-tag_logits(checkpoint, patches)))
    found = predictor(FILE.read_bytes())(np.array([embed(patch) for patch in patches]))
    assert expected.max() > 0.5
    assert np.abs(found - expected).max() <= 1e-4
    made = to_onnx(read_checkpoint(checkpoint), load_model(FILE).metadata.created)
    assert made == FILE.read_bytes()
