"""The engine every peer runs, with the options the inference service uses."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime


def open_session(name: str) -> onnxruntime.InferenceSession:
    """The model of that name below BENCH_MODELS, on one thread that does not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = Path(os.environ["BENCH_MODELS"]) / f"{name}.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
