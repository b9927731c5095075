"""Loads a model's file by its name."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.version_files.names import ARCHIVE
from shared.models.model_bytes import read_model
from shared.models.runners.model_runner import ModelRunner


def load_model(path: Path, spec: LoopSpec, *, threads: int = 1) -> ModelRunner:
    """The model in a file, whose name says its format. Raises UnservableModel that names what is against the contract."""
    # Both libraries are heavy, and torch may not be installed: only the one that runs the model is imported.
    if path.name == ARCHIVE:
        from shared.models.torch_archive.torch_model import TorchModel

        return ModelRunner(TorchModel(read_model(path), threads=threads), spec)
    from shared.models.onnx_runner import OnnxModel

    return OnnxModel(path, spec, threads=threads)
