"""The same answers from the GPU as from the CPU, and none from the CPU in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtests.bench_model import example_rows, write_models
from services.inference.runtimes.devices import Device, choose_device
from services.inference.runtimes.gpu import find_gpu
from services.inference.runtimes.onnx import OnnxModel

pytestmark = pytest.mark.gpu


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    write_models(tmp_path)
    return (tmp_path / "mlp.onnx").read_bytes()


def test_auto_chooses_cuda_where_it_can_be_used(cuda: Device) -> None:
    assert choose_device("auto").name == "cuda"


def test_the_gpu_answers_as_the_cpu_does(cuda: Device, model: bytes) -> None:
    feeds = {"x": example_rows("mlp", 64)}
    on_gpu = OnnxModel(model, device=cuda, threads=1)
    on_cpu = OnnxModel(model, device=choose_device("cpu"), threads=1)
    assert on_gpu.device == "cuda"
    np.testing.assert_allclose(on_gpu.run("y", feeds), on_cpu.run("y", feeds), rtol=1e-3, atol=1e-4)


def test_loading_and_letting_go_again_does_not_eat_the_gpu(cuda: Device, model: bytes) -> None:
    import torch

    feeds = {"x": example_rows("mlp", 1)}

    def used() -> int:
        free, total = torch.cuda.mem_get_info()
        return int(total - free)

    for _ in range(3):
        OnnxModel(model, device=cuda, threads=1).run("y", feeds)
    before = used()
    for _ in range(30):
        OnnxModel(model, device=cuda, threads=1).run("y", feeds)
    assert used() - before < 64 << 20


def test_used_gpu_reports_its_memory(cuda: Device, model: bytes) -> None:
    import torch

    gpu = find_gpu(cuda)
    assert gpu is not None
    OnnxModel(model, device=cuda, threads=1)
    figures = gpu.read()
    _, total = torch.cuda.mem_get_info()
    assert figures.total_bytes is not None
    assert figures.used_bytes is not None
    assert abs(figures.total_bytes - total) < total / 10
    assert 0 < figures.used_bytes < figures.total_bytes
    assert figures.utilization is None or 0 <= figures.utilization <= 1
