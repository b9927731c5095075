"""Runs a program with torch, on one device."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.errors import UnservableModel
from shared.models.runtime_errors import MODEL_FAILED
from shared.models.tensor_type import TensorType
from shared.models.torch_archive.graph_module import build
from shared.models.torch_archive.program import read_program
from shared.models.torch_archive.torch_import import import_torch

Array = npt.NDArray[Any]

_SHOWN = 300


class TorchModel:
    """One loaded program."""

    def __init__(self, archive: bytes, *, device: str = "cpu", threads: int = 1) -> None:
        """Read, check and build; `threads` inside one call, of the whole process; 0: as torch chooses. Raises UnservableModel."""
        program = read_program(archive)
        import_torch()
        import torch

        if device != "cpu" and not torch.cuda.is_available():
            raise UnservableModel(
                f"torch {torch.__version__} cannot use CUDA, on which the models of this server run",
                hint="install a torch that was built with CUDA, or set HOMEOSTAT_INFERENCE_DEVICE=cpu",
            )
        if threads:
            torch.set_num_threads(threads)
        # An operator that changes an input in place is refused below.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        self.device = device
        self.inputs: tuple[TensorType, ...] = program.signature.inputs
        self.outputs: tuple[TensorType, ...] = program.signature.outputs
        self._indices = {tensor.name: index for index, tensor in enumerate(self.outputs)}
        self._names = tuple(tensor.name for tensor in self.inputs)
        self._module = build(program, device)
        self._ran = False

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array:
        """One output for the given inputs. Raises UnservableModel where the program fails on them."""
        import torch

        tensors = [torch.from_numpy(feeds[name]) for name in self._names]
        given = tensors if self.device == "cpu" else [tensor.to(self.device) for tensor in tensors]
        try:
            with torch.inference_mode():
                found = self._module(*given)[self._indices[output]]
            result: Array = found.cpu().numpy()
        except Exception as error:  # operators raise classes of many kinds
            raise UnservableModel(f"{MODEL_FAILED}: {_reason(error)}") from error
        self._check_unchanged(given)
        return np.asarray(result)

    def _check_unchanged(self, given: list[Any]) -> None:
        """Raises UnservableModel if a step changed an input, or in the first call a weight, which would change later answers."""
        changed = any(tensor._version for tensor in given)
        if not self._ran:
            changed = changed or any(weight._version for weight in self._module.buffers())
            self._ran = not changed
        if changed:
            raise UnservableModel(
                "model.pt2 changes its inputs or weights in place when it runs",
                hint="replace operations such as `x += 1` on what forward() is given by `x = x + 1`",
            )


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
