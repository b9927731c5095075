"""Running programs of torch.export with torch, from bytes that were verified before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from services.inference.declared_precision import Form
from services.inference.runtimes.devices import Device
from shared.models.torch_archive.torch_model import TorchModel

Array = npt.NDArray[Any]


class ServedProgram:
    """One loaded program."""

    def __init__(self, archive: bytes, *, device: Device, threads: int) -> None:
        """Raises UnservableModel where the archive is refused, or torch is not installed or cannot use the device."""
        self._model = TorchModel(archive, device=device.name, threads=threads)
        self.device = device.name
        self.inputs = self._model.inputs
        self.outputs = self._model.outputs
        self.batch_sizes: tuple[int, ...] = ()
        self.form = Form()

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array:
        """One output for the given inputs. Raises UnservableModel where the program fails on them."""
        return self._model.run(output, feeds)
