"""Runs a model of ONNX on the CPU with onnxruntime, for deployment and the gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from shared.contracts.loop_spec import LoopSpec
from shared.errors import UnservableModel
from shared.models.contract import TensorType
from shared.models.file_safety import check_model_file
from shared.models.model_bytes import read_model
from shared.models.runners.model_runner import ModelRunner
from shared.models.runtime_errors import cannot_load, reason

Array = npt.NDArray[Any]


class OnnxModel(ModelRunner):
    """A model.onnx that satisfies the contract of `spec`."""

    def __init__(self, path: Path, spec: LoopSpec, *, threads: int = 1) -> None:
        """Load and check. Raises UnservableModel that names what is against the contract."""
        raw = read_model(path)
        check_model_file(raw)
        super().__init__(OnnxEngine(open_session(raw, threads=threads)), spec)


class OnnxEngine:
    """An open session."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.inputs = tuple(TensorType.of(item) for item in session.get_inputs())
        self.outputs = tuple(TensorType.of(item) for item in session.get_outputs())

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array:
        """One output for the given inputs. Raises UnservableModel where the model fails on them."""
        try:
            return np.asarray(self._session.run([output], dict(feeds))[0])
        except Exception as error:
            raise UnservableModel(f"the model failed on valid rows: {reason(error)}") from error


def open_session(raw: bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU for the bytes of a file; `threads` 0: one per core. Raises UnservableModel."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Errors are raised with their text: onnxruntime would print it to stderr as well.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base
        raise cannot_load(error) from error
