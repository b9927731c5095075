from __future__ import annotations

import ctypes
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.inference.runtimes import gpu
from services.inference.runtimes.devices import Device
from services.inference.runtimes.gpu import GpuCollector, GpuFigures, NvmlGpu, count_gpus, find_gpu

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")
CUDA = Device("cuda", ("CUDAExecutionProvider",), "requested")


class NVMLError(Exception):
    """As the library's own."""


class FakeNvml:
    """One GPU at one place of the bus; `refused` questions are not answered."""

    NVMLError = NVMLError

    def __init__(self, *refused: str) -> None:
        self._refused = refused
        self._initialised = False

    def nvmlInit(self) -> None:
        if "init" in self._refused:
            raise NVMLError("Driver Not Loaded")
        self._initialised = True

    def nvmlDeviceGetHandleByPciBusId(self, bus_id: bytes) -> str:
        assert self._initialised
        if bus_id != b"0000:17:00.0":
            raise NVMLError("Not Found")
        return "handle"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        return self._answer("memory", handle, SimpleNamespace(used=3 << 30, total=8 << 30))

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        return self._answer("utilization", handle, SimpleNamespace(gpu=25, memory=90))

    def _answer(self, question: str, handle: str, answer: Any) -> Any:
        assert handle == "handle"
        if question in self._refused:
            raise NVMLError("Not Supported")
        return answer


def lines(nvml: FakeNvml) -> list[str]:
    registry = CollectorRegistry()
    registry.register(GpuCollector(NvmlGpu(nvml, b"0000:17:00.0"), "cuda"))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_gpu_memory_and_utilization() -> None:
    assert lines(FakeNvml()) == [
        'homeostat_inference_device_memory_used_bytes{device="cuda"} 3.221225472e+09',
        'homeostat_inference_device_memory_total_bytes{device="cuda"} 8.589934592e+09',
        'homeostat_inference_device_utilization_ratio{device="cuda"} 0.25',
    ]


def test_unreported_gpu_value_has_no_sample() -> None:
    assert [line.split("{")[0] for line in lines(FakeNvml("utilization"))] == [
        "homeostat_inference_device_memory_used_bytes",
        "homeostat_inference_device_memory_total_bytes",
    ]
    assert lines(FakeNvml("memory", "utilization")) == []


def test_no_gpu_metrics_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_bus_id", lambda: pytest.fail("asked for a GPU"))
    assert find_gpu(CPU) is None


def test_reads_the_gpu_that_cuda_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    monkeypatch.setattr(gpu, "_bus_id", lambda: b"0000:17:00.0")
    found = find_gpu(CUDA)
    assert found is not None
    assert found.read() == GpuFigures(used_bytes=3 << 30, total_bytes=8 << 30, utilization=0.25)


@pytest.mark.parametrize(
    ("library", "bus_id"),
    [
        (None, b"0000:17:00.0"),
        (FakeNvml("init"), b"0000:17:00.0"),
        (FakeNvml(), b"0000:99:00.0"),
        (ModuleType("pynvml"), b"0000:17:00.0"),
    ],
    ids=["no library", "no driver", "no such GPU", "another library of the name"],
)
def test_missing_nvml_is_logged_once(monkeypatch: pytest.MonkeyPatch, library: Any, bus_id: bytes) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)  # None: the import fails
    monkeypatch.setattr(gpu, "_bus_id", lambda: bus_id)
    assert find_gpu(CUDA) is None


def test_no_gpu_without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    assert find_gpu(CUDA) is None


def test_gpus_are_counted_by_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("pynvml")
    library.nvmlInit = lambda: None  # type: ignore[attr-defined]
    library.nvmlDeviceGetCount = lambda: 4  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert count_gpus() == 4

    def refuse() -> None:
        raise NVMLError("Driver Not Loaded")

    library.nvmlInit = refuse  # type: ignore[attr-defined]
    assert count_gpus() == 0
