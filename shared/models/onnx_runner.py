"""Runs a model of ONNX on the CPU with onnxruntime, for deployment and the gate."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.loop_spec import LoopSpec
from shared.models.file_safety import check_model_file
from shared.models.model_bytes import read_model
from shared.models.runners.model_runner import ModelRunner
from shared.models.runners.onnx_engine import OnnxEngine, open_session


class OnnxModel(ModelRunner):
    """A model.onnx that satisfies the contract of `spec`."""

    def __init__(self, path: Path, spec: LoopSpec, *, threads: int = 1) -> None:
        """Load and check. Raises UnservableModel that names what is against the contract."""
        raw = read_model(path)
        check_model_file(raw)
        super().__init__(OnnxEngine(open_session(raw, threads=threads)), spec)
