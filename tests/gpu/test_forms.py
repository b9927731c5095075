"""Forms on a GPU: what is bound, and how near half precision and TensorRT are to float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loadtests.gpu.network import SMALL, images, make_network, run_in_float64, to_onnx
from services.inference.declared_precision import Form
from services.inference.runtimes.bound_session import tensors_on_device
from services.inference.runtimes.devices import Device
from services.inference.runtimes.engines import EngineOptions, open_engine
from services.inference.runtimes.onnx import OnnxModel
from services.inference.runtimes.tensorrt import check_tensorrt
from shared.contracts.version_files.names import MODEL
from shared.errors import UnservableModel

pytestmark = pytest.mark.gpu

NETWORK = make_network(SMALL)
ROWS = images(NETWORK, 5)


def run(cuda: Device, options: EngineOptions) -> npt.NDArray[Any]:
    return open_engine(MODEL, to_onnx(NETWORK), options, device=cuda, threads=1).run("y", {"x": ROWS})


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("tf32", 5e-3), ("fp16", 5e-3)])
def test_precision_is_what_its_name_says(cuda: Device, precision: str, tolerance: float) -> None:
    form = Form(precision)  # type: ignore[arg-type]
    np.testing.assert_allclose(run(cuda, EngineOptions(form)), run_in_float64(NETWORK, ROWS), atol=tolerance)


def test_inputs_and_outputs_are_in_memory_of_the_gpu(cuda: Device) -> None:
    engine = OnnxModel(to_onnx(NETWORK), device=cuda, threads=1)
    assert tensors_on_device(engine._session) == {"x", "y"}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_tensorrt_answers_near_float32(cuda: Device, tmp_path: Path, precision: str) -> None:
    try:
        check_tensorrt()
    except UnservableModel as error:
        pytest.skip(error.message)
    form = Form(precision, tensorrt=True)  # type: ignore[arg-type]
    answers = run(cuda, EngineOptions(form, 8, str(tmp_path)))
    np.testing.assert_allclose(answers, run_in_float64(NETWORK, ROWS), atol=5e-2)
    assert list(tmp_path.glob("*.engine")), "the engine is kept"
