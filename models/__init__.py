"""Shipped models: ONNX files, each beside its model card."""
