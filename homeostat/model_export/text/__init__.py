"""Vectorizers of text as ONNX: regular expressions of tokens, n-grams, counts."""
