"""A head of kind multi: linear, with a sigmoid a tag."""

from pathlib import Path

import msgspec
import onnx

from features import feature_set
from tests.classifier.test_model import tiny_model

TAGS = ("guitar", "piano", "female vocalists", "80s")


def tiny_head(path: Path, *, name: str = "tagger", recipe: str = "seed-25") -> Path:
    """Write a head on a feature set."""
    names = feature_set(recipe).names
    props = {
        "name": name,
        "kind": "multi",
        "labels": msgspec.json.encode(TAGS).decode(),
        "feature_set": recipe,
        "feature_names": msgspec.json.encode(names).decode(),
    }
    tiny_model(path, width=len(names), classes=len(TAGS), change=lambda given: given.update(props))
    model = onnx.load(path)
    model.graph.node[1].op_type = "Sigmoid"
    onnx.save(model, path)
    return path
