"""The names of a version's model file."""

from __future__ import annotations

from typing import Final

MODEL: Final = "model.onnx"
ARCHIVE: Final = "model.pt2"
# A version holds one of these: a model of ONNX, or a program of torch.export.
MODEL_FILES: Final = (MODEL, ARCHIVE)
