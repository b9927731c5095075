"""The engine every peer runs, with the options the inference service uses."""

from __future__ import annotations

import os

import onnxruntime


def open_session() -> onnxruntime.InferenceSession:
    """The model at BENCH_MODEL, on one thread that does not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
    )
