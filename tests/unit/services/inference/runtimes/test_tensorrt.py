"""TensorRT's options and folder, and that nothing else serves in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.bench_model import example_rows, write_models
from services.inference.declared_precision import Form
from services.inference.runtimes import tensorrt
from services.inference.runtimes.devices import choose_device
from services.inference.runtimes.onnx import OnnxModel
from services.inference.runtimes.tensorrt import PROVIDER, engine_folder, tensorrt_options
from shared.errors import UnservableModel
from shared.models.tensor_type import TensorType
from tests.fakes.onnx_device import FakeDevice

INPUTS = (
    TensorType("image", "tensor(float)", (None, 3, 64, 64)),
    TensorType("age", "tensor(float)", (None,)),
)


@pytest.fixture
def mlp(tmp_path: Path) -> bytes:
    write_models(tmp_path)
    return (tmp_path / "mlp.onnx").read_bytes()


@pytest.mark.parametrize(
    ("precision", "fp16", "bf16"), [("fp32", "0", "0"), ("fp16", "1", "0"), ("bf16", "0", "1")]
)
def test_precision_and_caches_are_options(tmp_path: Path, precision: str, fp16: str, bf16: str) -> None:
    form = Form(precision, tensorrt=True)  # type: ignore[arg-type]
    folder = tmp_path / "engines" / "one"
    options = tensorrt_options(form, folder, INPUTS, maximum_batch_rows=64)
    assert (options["trt_fp16_enable"], options["trt_bf16_enable"]) == (fp16, bf16)
    assert (options["trt_engine_cache_enable"], options["trt_engine_cache_path"]) == ("1", str(folder))
    assert options["trt_timing_cache_path"] == str(folder.parent)


def test_one_engine_serves_every_size_of_batch(tmp_path: Path) -> None:
    options = tensorrt_options(Form("fp16", tensorrt=True), tmp_path, INPUTS, maximum_batch_rows=64)
    assert options["trt_profile_min_shapes"] == "image:1x3x64x64,age:1"
    assert options["trt_profile_max_shapes"] == options["trt_profile_opt_shapes"] == "image:64x3x64x64,age:64"
    free = (TensorType("series", "tensor(float)", (None, None, 8)),)
    assert "trt_profile_max_shapes" not in tensorrt_options(Form(), tmp_path, free, maximum_batch_rows=64)


def test_engines_are_private_and_kept_by_version(tmp_path: Path) -> None:
    root = tmp_path / "tensorrt"
    form = Form("fp16", tensorrt=True)
    folders = []
    for number in range(10):
        folders.append(engine_folder(root, f"{number:064d}", form))
        os.utime(folders[-1], (number, number))
    engine_folder(root, f"{2:064d}", form)
    assert root.stat().st_mode & 0o077 == 0
    assert folders[0].name == "0" * 64 + "-fp16"
    assert engine_folder(root, f"{2:064d}", Form("bf16", tensorrt=True)) != folders[2]
    left = {path.name for path in root.iterdir()}
    assert folders[2].name in left, "it was loaded again"
    assert folders[0].name not in left
    assert len(left) == 8


def test_missing_provider_is_no_other_provider(
    monkeypatch: pytest.MonkeyPatch, mlp: bytes, tmp_path: Path
) -> None:
    FakeDevice().install(monkeypatch)
    with pytest.raises(UnservableModel, match="this onnxruntime was built without TensorRT") as caught:
        OnnxModel(
            mlp,
            device=choose_device("cuda"),
            threads=1,
            form=Form("fp32", tensorrt=True),
            engines=tmp_path,
        )
    assert "HOMEOSTAT_INFERENCE_TENSORRT" in caught.value.hint


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, mlp: bytes, tmp_path: Path) -> None:
    names = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    FakeDevice(providers=names).install(monkeypatch)
    monkeypatch.setattr(tensorrt, "_LIBRARIES", ("libnvinfer_that_is_not_there.so.10",))
    with pytest.raises(UnservableModel, match="libnvinfer_that_is_not_there.so.10 cannot be loaded"):
        OnnxModel(
            mlp,
            device=choose_device("cuda"),
            threads=1,
            form=Form("fp16", tensorrt=True),
            engines=tmp_path,
        )


def open_with_tensorrt(
    monkeypatch: pytest.MonkeyPatch, mlp: bytes, folder: Path, *used: str
) -> tuple[FakeDevice, OnnxModel]:
    device = FakeDevice(providers=used).install(monkeypatch)
    monkeypatch.setattr("services.inference.runtimes.onnx.check_tensorrt", lambda: None)
    model = OnnxModel(
        mlp, device=choose_device("cuda"), threads=1, form=Form("fp16", tensorrt=True), engines=folder
    )
    return device, model


def test_tensorrt_gets_the_model_in_float32(
    monkeypatch: pytest.MonkeyPatch, mlp: bytes, tmp_path: Path
) -> None:
    """It converts what it computes in half precision itself."""
    device, model = open_with_tensorrt(
        monkeypatch, mlp, tmp_path, PROVIDER, "CUDAExecutionProvider", "CPUExecutionProvider"
    )
    ((first, second, third),) = device.opened
    assert (first[0], first[1]["trt_fp16_enable"], second[0], third) == (
        PROVIDER,
        "1",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    )
    assert first[1]["trt_profile_max_shapes"] == "x:256x32"
    assert model.run("y", {"x": example_rows("mlp", 3)}).shape == (3, 2)
    assert device.calls == [3]


def test_session_that_onnxruntime_puts_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, mlp: bytes, tmp_path: Path
) -> None:
    with pytest.raises(
        UnservableModel, match="on CUDAExecutionProvider instead of TensorrtExecutionProvider"
    ):
        open_with_tensorrt(monkeypatch, mlp, tmp_path, "CUDAExecutionProvider", "CPUExecutionProvider")
