"""Calls a session with IO binding: inputs and outputs are in memory of the device, which is kept between calls.

1. fill the rows up to one of a few sizes with copies of the last one, since a batch of a new shape is slow
2. copy each input once, into the memory that is kept for this size   3. run   4. copy the output back, without the copies

onnxruntime gives a session one stream; calls of one session follow each other. Rows beyond the largest size are several calls,
so the memory on the device is bounded whatever a request holds.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from services.inference.runtimes.batch_sizes import size_for

Array = npt.NDArray[Any]
# Shapes whose memory is kept: those of a full batch and of what a lower load fills.
_KEPT_SHAPES = 4
_TEXTS = "tensor(string)"
_IN_HOST_MEMORY = ("Cpu", "CudaPinned", "CUDA_CPU")


@dataclass
class _Bound:
    """A binding for one shape, and the memory behind its inputs on the device."""

    binding: Any
    values: dict[str, Any]


class BoundSession:
    """A session with its bindings. Threads may call it; their calls follow each other."""

    def __init__(
        self, session: Any, *, kind: str, on_device: frozenset[str], sizes: Sequence[int], index: int = 0
    ) -> None:
        """`kind` and `index`: the device as onnxruntime names it; `on_device`: the inputs and outputs that are in its memory."""
        self._session = session
        self._kind = kind
        self._index = index
        self._on_device = on_device
        self._sizes = sizes
        self._bound: OrderedDict[object, _Bound] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array:
        """One output for the given inputs, whose first axis is that of the rows. Raises what onnxruntime raises."""
        rows = len(next(iter(feeds.values())))
        largest = self._sizes[-1]
        with self._lock:
            parts = [
                self._call(output, {name: array[start : start + largest] for name, array in feeds.items()})
                for start in range(0, rows, largest)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _call(self, output: str, feeds: Mapping[str, Array]) -> Array:
        rows = len(next(iter(feeds.values())))
        size = size_for(rows, self._sizes)
        if size > rows:
            feeds = {name: _filled(array, size) for name, array in feeds.items()}
        bound = self._find(output, feeds)
        for name, array in feeds.items():
            if name in bound.values:
                bound.values[name].update_inplace(np.ascontiguousarray(array))
            else:
                bound.binding.bind_cpu_input(name, np.ascontiguousarray(array))
        self._session.run_with_iobinding(bound.binding)
        result: Array = bound.binding.copy_outputs_to_cpu()[0]
        return result[:rows]

    def _find(self, output: str, feeds: Mapping[str, Array]) -> _Bound:
        key = (output, *((name, array.shape, array.dtype.str) for name, array in sorted(feeds.items())))
        bound = self._bound.pop(key, None) or self._bind(output, feeds)
        self._bound[key] = bound
        while len(self._bound) > _KEPT_SHAPES:
            self._bound.popitem(last=False)
        return bound

    def _bind(self, output: str, feeds: Mapping[str, Array]) -> _Bound:
        binding = self._session.io_binding()
        values = {}
        for name, array in feeds.items():
            if name in self._on_device:
                values[name] = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                    list(array.shape), array.dtype.type, self._kind, self._index
                )
                binding.bind_ortvalue_input(name, values[name])
        kind, index = (self._kind, self._index) if output in self._on_device else ("cpu", 0)
        # onnxruntime allocates it in the first call, and keeps it.
        binding.bind_output(output, kind, index)
        return _Bound(binding, values)


def tensors_on_device(session: Any) -> frozenset[str]:
    """The inputs that are read and the outputs that are written on a device; those of operators on the CPU are not."""
    found = [
        *zip(session.get_inputs(), session.get_input_memory_infos(), strict=True),
        *zip(session.get_outputs(), session.get_output_memory_infos(), strict=True),
    ]
    return frozenset(tensor.name for tensor, memory in found if memory.name not in _IN_HOST_MEMORY)


def texts_of(session: Any) -> list[str]:
    """Inputs of texts: onnxruntime binds none, and has operators for them on the CPU only."""
    return [tensor.name for tensor in session.get_inputs() if tensor.type == _TEXTS]


def _filled(array: Array, size: int) -> Array:
    filled = np.empty((size, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    filled[len(array) :] = array[-1]
    return filled
