"""Memory and utilization of the GPU, read through NVML. Without GPU, driver or library there are no metrics and no error."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.inference.runtimes.devices import Device
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_PCI_BUS_ID_BYTES = 32


@dataclass(frozen=True)
class GpuFigures:
    """One reading; None for values that the GPU does not report (a MIG slice has no utilization)."""

    used_bytes: int | None
    total_bytes: int | None
    utilization: float | None


class Gpu(Protocol):
    """The GPU this process runs on."""

    def read(self) -> GpuFigures:
        """The current values."""
        ...


class NvmlGpu:
    """A GPU that NVML finds by its PCI bus id."""

    def __init__(self, nvml: Any, bus_id: bytes) -> None:
        """Raises NVMLError if there is no such GPU."""
        self._nvml = nvml
        nvml.nvmlInit()
        self._handle = nvml.nvmlDeviceGetHandleByPciBusId(bus_id)

    def read(self) -> GpuFigures:
        """The current values; None for those that NVML does not report."""
        memory = self._read(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handle))
        rates = self._read(lambda: self._nvml.nvmlDeviceGetUtilizationRates(self._handle))
        return GpuFigures(
            used_bytes=None if memory is None else int(memory.used),
            total_bytes=None if memory is None else int(memory.total),
            utilization=None if rates is None else rates.gpu / 100,
        )

    def _read(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except self._nvml.NVMLError:
            return None


class GpuCollector(Collector):
    """Metrics of the GPU, read at each scrape."""

    def __init__(self, gpu: Gpu, device: str) -> None:
        self._gpu = gpu
        self._device = device

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Memory and utilization; unknown values have no sample."""
        figures = self._gpu.read()
        for name, text, value in (
            (
                "homeostat_inference_device_memory_used_bytes",
                "GPU memory in use by all processes; only with CUDA.",
                figures.used_bytes,
            ),
            (
                "homeostat_inference_device_memory_total_bytes",
                "Total GPU memory; only with CUDA.",
                figures.total_bytes,
            ),
            (
                "homeostat_inference_device_utilization_ratio",
                "Share of the sampling period in which the GPU was busy, for all processes; only with CUDA.",
                figures.utilization,
            ),
        ):
            family = GaugeMetricFamily(name, text, labels=["device"])
            if value is not None:
                family.add_metric([self._device], value)
            yield family


def find_gpu(device: Device) -> Gpu | None:
    """The GPU in use; None on the CPU, or if NVML is not available, which is logged once."""
    if device.name != "cuda":
        return None
    try:
        import pynvml  # type: ignore[import-untyped]

        return NvmlGpu(pynvml, _bus_id())
    except Exception as error:  # no library, driver or permission: serve without these metrics
        _log.warning("gpu_metrics_unavailable", problem=str(error) or type(error).__name__)
        return None


def count_gpus() -> int:
    """The GPUs of this machine; 0 if NVML is not available. CUDA is not asked: it would keep the GPUs that it sees then."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except Exception:  # no library, driver or permission: the choice of the device says what is missing
        return 0


def _bus_id() -> bytes:
    """PCI bus id of CUDA's first device: NVML numbers all GPUs of the machine, CUDA only those visible to this process."""
    driver = ctypes.CDLL("libcuda.so.1")
    text = ctypes.create_string_buffer(_PCI_BUS_ID_BYTES)
    device = ctypes.c_int(0)
    for code in (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDeviceGetPCIBusId(text, _PCI_BUS_ID_BYTES, device),
    ):
        if code:
            raise OSError(f"the NVIDIA driver returned error {code} for the PCI bus id")
    return text.value
