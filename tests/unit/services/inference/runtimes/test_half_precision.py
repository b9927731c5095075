from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from loadtests.bench_model import example_rows, write_models
from services.inference.declared_precision import Form
from services.inference.runtimes.devices import Device
from services.inference.runtimes.half_precision import to_float16
from services.inference.runtimes.onnx import OnnxModel
from shared.errors import UnservableModel

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_converted_model_computes_in_float16_and_answers_in_float32(tmp_path: Path, name: str) -> None:
    write_models(tmp_path)
    raw = (tmp_path / f"{name}.onnx").read_bytes()
    model = onnx.load_from_string(to_float16(raw))
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT16}
    half = OnnxModel(raw, device=CPU, threads=1, form=Form("fp16"))
    exact = OnnxModel(raw, device=CPU, threads=1)
    assert (half.inputs, half.outputs) == (exact.inputs, exact.outputs)
    rows = example_rows(name, 16)
    answers, wanted = half.run("y", {"x": rows}), exact.run("y", {"x": rows})
    assert answers.dtype == np.float32
    assert 0 < np.abs(answers - wanted).max() < 5e-3


def test_modules_of_the_converter_are_not_importable_by_name(tmp_path: Path) -> None:
    write_models(tmp_path)
    to_float16((tmp_path / "mlp.onnx").read_bytes())
    assert not any(path.endswith("transformers") for path in sys.path)


def test_model_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(UnservableModel, match="cannot be converted to fp16"):
        to_float16(b"no model")
