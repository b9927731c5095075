"""Chooses the runtime for a model's file by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from services.inference.runtimes.devices import Device
from services.inference.runtimes.onnx import OnnxModel
from shared.contracts.manifest import ARCHIVE

if TYPE_CHECKING:
    from services.inference.runtimes.torch import ServedProgram

Loaded: TypeAlias = "OnnxModel | ServedProgram"


def open_engine(name: str, model: bytes, *, device: Device, threads: int) -> Loaded:
    """The loaded model; `name` is its file's in the version. Raises UnservableModel."""
    if name == ARCHIVE:
        # Torch takes seconds to import and half a GiB of memory: only a server of such a version pays for it.
        from services.inference.runtimes.torch import ServedProgram

        return ServedProgram(model, device=device, threads=threads)
    return OnnxModel(model, device=device, threads=threads)
