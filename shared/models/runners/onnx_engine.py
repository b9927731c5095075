"""A session of onnxruntime on the CPU. Imported by the isolated processes of models, so it imports no contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from shared.errors import UnservableModel
from shared.models.runtime_errors import cannot_load, reason
from shared.models.tensor_type import TensorType

Array = npt.NDArray[Any]


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
