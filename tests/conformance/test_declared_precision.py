"""A declared precision from the settings to the answer: compared with float32 at load, visible, refused beyond the tolerance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.inference_server import InferenceServer
from tests.fakes.onnx_device import FakeDevice
from tests.fakes.toy_model import ROW, ToyStore


@pytest.fixture
def toys(tmp_path: Path) -> ToyStore:
    return ToyStore(tmp_path)


def model_of(server: InferenceServer) -> dict[str, object]:
    found: dict[str, object] = server.ask("GET", "/status.json").json()["models"][0]
    return found


def test_half_precision_is_compared_and_visible(toys: ToyStore) -> None:
    toys.put_and_release(0.1)
    server = InferenceServer(toys, precision="fp16")
    assert server.predict(ROW).json()["predictions"][0]["score"] == pytest.approx(0.1, abs=1e-4)
    model = model_of(server)
    assert (model["precision"], model["runtime"]) == ("fp16", "onnxruntime")
    difference = model["precision_difference"]
    assert isinstance(difference, float)
    assert 0 < difference < 1e-4
    assert server.sample("homeostat_inference_precision_difference", model="toy") == difference
    config = server.ask("GET", "/v2/models/toy/config").json()
    assert config["parameters"]["precision"] == {"string_value": "fp16"}
    assert "cpu, fp16" in server.ask("GET", "/status").text


def test_float32_is_not_compared(toys: ToyStore) -> None:
    toys.put_and_release(0.1)
    server = InferenceServer(toys)
    assert (model_of(server)["precision"], model_of(server)["precision_difference"]) == ("fp32", None)
    assert server.sample("homeostat_inference_precision_difference", model="toy") is None


def test_number_beyond_float16_is_refused_and_the_old_version_stays(toys: ToyStore) -> None:
    toys.put_and_release(0.5)
    server = InferenceServer(toys, precision="fp16")
    toys.put_and_release(70000.0)
    server.poller.poll()
    problem = str(model_of(server)["last_error"])
    assert "in fp16 reference row 0 is answered with 65504, in float32 with 70000" in problem
    assert "beyond 0.01" in problem
    assert server.predict(ROW).json()["predictions"][0]["score"] == 0.5
    assert server.sample("homeostat_inference_release_failed", model="toy") == 1


def test_precision_of_one_model_differs(toys: ToyStore) -> None:
    toys.put_and_release(70000.0)
    server = InferenceServer(toys, precision="fp16", precision_by_model={"toy": "fp32"})
    assert server.predict(ROW).json()["predictions"][0]["score"] == 70000.0


def test_declared_tolerance_counts(toys: ToyStore) -> None:
    toys.put_and_release(70000.0)
    server = InferenceServer(toys, precision="fp16", precision_tolerance=0.1)
    assert server.predict(ROW).json()["predictions"][0]["score"] == 65504.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tensorrt": ("toy",)}, "TensorRT is declared for the model, but the device is cpu"),
        ({"precision": "bf16"}, "onnxruntime cannot convert a model to it"),
        ({"precision": "tf32"}, "the device cpu does not support it"),
    ],
)
def test_form_without_its_device_is_not_served_in_another(
    toys: ToyStore, settings: dict[str, Any], said: str
) -> None:
    toys.put_and_release(0.5)
    server = InferenceServer(toys, **settings)
    assert said in str(model_of(server)["last_error"])
    assert server.predict(ROW).status_code == 503


def test_device_in_float32_serves_as_the_cpu(toys: ToyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice().install(monkeypatch)
    toys.put_and_release(0.5)
    server = InferenceServer(toys, device="cuda")
    assert server.predict(ROW).json()["predictions"][0]["score"] == 0.5
    assert model_of(server)["device"] == "cuda"
    assert len(device.opened) == 2, "on trial, and to serve"
