"""What the GPU says about itself, through NVML. Without a GPU, a driver or the library there is nothing to read, and no error."""

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
    """One reading; None where this GPU does not tell (a slice of a shared one has no utilization of its own)."""

    used_bytes: int | None
    total_bytes: int | None
    utilization: float | None


class Gpu(Protocol):
    """The GPU this process runs on."""

    def read(self) -> GpuFigures:
        """The figures now."""
        ...


class NvmlGpu:
    """A GPU known to NVML by its place on the bus."""

    def __init__(self, nvml: Any, bus_id: bytes) -> None:
        """Raises whatever NVML raises where there is no such GPU."""
        self._nvml = nvml
        nvml.nvmlInit()
        self._handle = nvml.nvmlDeviceGetHandleByPciBusId(bus_id)

    def read(self) -> GpuFigures:
        """The figures now; those NVML refuses are None."""
        memory = self._ask(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handle))
        rates = self._ask(lambda: self._nvml.nvmlDeviceGetUtilizationRates(self._handle))
        return GpuFigures(
            used_bytes=None if memory is None else int(memory.used),
            total_bytes=None if memory is None else int(memory.total),
            utilization=None if rates is None else rates.gpu / 100,
        )

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except self._nvml.NVMLError:
            return None


class GpuCollector(Collector):
    """The GPU's figures, read when somebody scrapes."""

    def __init__(self, gpu: Gpu, device: str) -> None:
        self._gpu = gpu
        self._device = device

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Memory and utilization; what is not known has no sample."""
        figures = self._gpu.read()
        for name, text, value in (
            (
                "homeostat_inference_device_memory_used_bytes",
                "Memory of the GPU in use, by whomever; only with CUDA.",
                figures.used_bytes,
            ),
            (
                "homeostat_inference_device_memory_total_bytes",
                "Memory of the GPU; only with CUDA.",
                figures.total_bytes,
            ),
            (
                "homeostat_inference_device_utilization_ratio",
                "Share of the last moments in which the GPU was at work, for whomever; only with CUDA.",
                figures.utilization,
            ),
        ):
            family = GaugeMetricFamily(name, text, labels=["device"])
            if value is not None:
                family.add_metric([self._device], value)
            yield family


def find_gpu(device: Device) -> Gpu | None:
    """The GPU models run on; None on the CPU, or where NVML cannot be asked, which is logged once."""
    if device.name != "cuda":
        return None
    try:
        import pynvml  # type: ignore[import-untyped]

        return NvmlGpu(pynvml, _bus_id())
    except (
        Exception
    ) as error:  # no library, no driver, no right to ask: serving goes on without these figures
        _log.warning("gpu_figures_missing", problem=str(error) or type(error).__name__)
        return None


def _bus_id() -> bytes:
    """Where CUDA's first device sits: NVML numbers the machine's GPUs, CUDA those this process may see."""
    driver = ctypes.CDLL("libcuda.so.1")
    text = ctypes.create_string_buffer(_PCI_BUS_ID_BYTES)
    device = ctypes.c_int(0)
    for code in (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDeviceGetPCIBusId(text, _PCI_BUS_ID_BYTES, device),
    ):
        if code:
            raise OSError(f"the NVIDIA driver does not tell where the GPU is (it answers {code})")
    return text.value
