"""Choosing the device, out loud: never a silent fallback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnxruntime

from shared.errors import OperatorError
from shared.observability.logs import get_logger

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Device:
    """Where models run: `name` for people, `providers` for onnxruntime, and why this one."""

    name: Literal["cpu", "cuda"]
    providers: tuple[str, ...]
    reason: str


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> Device:
    """The device for `wanted`. Raises OperatorError where CUDA is demanded and cannot be used."""
    if wanted == "cpu":
        return Device("cpu", (_CPU,), "asked for")
    problem = _cuda_problem()
    if not problem:
        # Operators without a CUDA kernel run on the CPU; the model as a whole never does.
        return Device("cuda", (_CUDA, _CPU), "asked for" if wanted == "cuda" else "CUDA can be used")
    if wanted == "cuda":
        raise OperatorError(
            f"HOMEOSTAT_INFERENCE_DEVICE=cuda, but CUDA cannot be used: {problem}",
            hint="`nvidia-smi` must list a GPU and onnxruntime-gpu be installed; or set HOMEOSTAT_INFERENCE_DEVICE=cpu",
        )
    return Device("cpu", (_CPU,), f"CUDA cannot be used: {problem}")


def _cuda_problem() -> str:
    """Why CUDA cannot be used; empty if it can. Loads the CUDA libraries that come with torch's wheels."""
    if _CUDA not in onnxruntime.get_available_providers():
        return "this onnxruntime was built without CUDA"
    if problem := _driver_problem():
        return problem
    try:
        onnxruntime.preload_dlls()
    except Exception as error:  # what it raises depends on the libraries found; each means the same to us
        return f"the CUDA libraries cannot be loaded: {error}"
    return ""


def _driver_problem() -> str:
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    if code := driver.cuInit(0):
        return f"the NVIDIA driver does not start (cuInit answers {code})"
    count = ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) or count.value == 0:
        return "the NVIDIA driver lists no GPU"
    get_logger(__name__).debug("cuda_devices", count=count.value)
    return ""
