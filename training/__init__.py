"""Offline training: data sets, models, evaluation and ONNX export."""
