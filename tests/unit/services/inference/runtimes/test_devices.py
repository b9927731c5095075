from __future__ import annotations

import onnxruntime
import pytest

from services.inference.runtimes import devices
from services.inference.runtimes.devices import Device, choose_device
from services.inference.runtimes.onnx import OnnxModel
from shared.errors import OperatorError, UnservableModel
from tests.fakes.toy_model import toy_onnx


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])


def test_cpu_if_requested() -> None:
    device = choose_device("cpu")
    assert (device.name, device.providers, device.reason) == ("cpu", ("CPUExecutionProvider",), "requested")


@pytest.mark.usefixtures("no_cuda")
def test_cuda_required_but_not_usable() -> None:
    with pytest.raises(OperatorError) as caught:
        choose_device("cuda")
    assert "built without CUDA" in caught.value.message
    assert "HOMEOSTAT_INFERENCE_DEVICE=cpu" in caught.value.hint


@pytest.mark.usefixtures("no_cuda")
def test_auto_gives_reason_for_cpu() -> None:
    device = choose_device("auto")
    assert (device.name, device.reason) == (
        "cpu",
        "CUDA is not usable: this onnxruntime was built without CUDA",
    )


def test_model_on_another_device_is_refused() -> None:
    """Without CUDA onnxruntime only warns, and takes the CPU."""
    if choose_device("auto").name == "cuda":
        pytest.skip("CUDA can be used here")
    cuda = Device("cuda", ("CUDAExecutionProvider", "CPUExecutionProvider"), "requested")
    with pytest.raises(UnservableModel):
        OnnxModel(toy_onnx(1.0), device=cuda, threads=1)


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_cuda_if_usable(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setattr(devices, "_cuda_problem", lambda: "")
    device = choose_device(wanted)  # type: ignore[arg-type]
    assert (device.name, device.providers[0]) == ("cuda", "CUDAExecutionProvider")
