"""Chooses the device and logs why; never falls back silently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnxruntime

from shared.errors import OperatorError

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Device:
    """The device for models: its name, the onnxruntime providers, and the reason for the choice."""

    name: Literal["cpu", "cuda"]
    providers: tuple[str, ...]
    reason: str


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> Device:
    """The device for `wanted`. Raises OperatorError if CUDA is required and not usable."""
    if wanted == "cpu":
        return Device("cpu", (_CPU,), "requested")
    problem = _cuda_problem()
    if not problem:
        # Single operators without a CUDA kernel run on the CPU.
        return Device("cuda", (_CUDA, _CPU), "requested" if wanted == "cuda" else "CUDA is usable")
    if wanted == "cuda":
        raise OperatorError(
            f"HOMEOSTAT_INFERENCE_DEVICE=cuda, but CUDA is not usable: {problem}",
            hint="check that `nvidia-smi` lists a GPU and onnxruntime-gpu is installed, or set HOMEOSTAT_INFERENCE_DEVICE=cpu",
        )
    return Device("cpu", (_CPU,), f"CUDA is not usable: {problem}")


def _cuda_problem() -> str:
    """Why CUDA is not usable; empty if it is. Loads the CUDA libraries that come with torch's wheels."""
    if _CUDA not in onnxruntime.get_available_providers():
        return "this onnxruntime was built without CUDA"
    if problem := _driver_problem():
        return problem
    try:
        onnxruntime.preload_dlls()
    except Exception as error:  # the kind of error depends on the libraries found
        return f"the CUDA libraries cannot be loaded: {error}"
    return ""


def _driver_problem() -> str:
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    if code := driver.cuInit(0):
        return f"the NVIDIA driver does not start (cuInit returned {code})"
    count = ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) or count.value == 0:
        return "the NVIDIA driver lists no GPU"
    return ""
