"""Exports a fitted model: infers features from rows, converts to ONNX, compares the scores, writes the project."""
