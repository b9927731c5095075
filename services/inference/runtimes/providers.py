"""The options of onnxruntime's CUDA provider. Pure.

They are those of https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html.
"""

from __future__ import annotations

from services.inference.declared_precision import Form
from services.inference.runtimes.devices import Device

Provider = str | tuple[str, dict[str, str]]

_CUDA = "CUDAExecutionProvider"


def provider_options(device: Device, form: Form) -> list[Provider]:
    """The execution providers of the device with their options, the preferred one first."""
    return [(name, _cuda_options(form)) if name == _CUDA else name for name in device.providers]


def _cuda_options(form: Form) -> dict[str, str]:
    return {
        # A worker sees one GPU.
        "device_id": "0",
        # By default the arena doubles: several models would then take the memory of one GPU twice.
        "arena_extend_strategy": "kSameAsRequested",
        # By default on: float32 would be multiplied with 10 bits of mantissa.
        "use_tf32": "1" if form.precision == "tf32" else "0",
    }
