"""Estimators, fitting, search and export to ONNX."""
