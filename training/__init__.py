"""Data sets, splits, models, evaluation and ONNX export; services never import it."""
