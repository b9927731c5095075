from __future__ import annotations

import sys
from typing import Any

import numpy as np

from services.inference.runtimes.devices import Device
from services.inference.runtimes.onnx import OnnxModel
from tests.fakes.toy_model import toy_onnx

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")


def test_loaded_model_does_not_keep_its_file() -> None:
    raw = toy_onnx(2.0)
    before = sys.getrefcount(raw)
    model = OnnxModel(raw, device=CPU, threads=1)
    assert sys.getrefcount(raw) == before
    feeds: dict[str, Any] = {
        "amount": np.zeros(1, np.float32),
        "count": np.zeros((1, 1), np.int64),
        "member": np.zeros(1, bool),
        "colour": np.array(["red"], object),
    }
    assert model.run("score", feeds).tolist() == [2.0]
