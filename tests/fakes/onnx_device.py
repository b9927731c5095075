"""A device without a device: onnxruntime's session, binding and values, computed on the CPU, with a memory of what was where."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from services.inference.runtimes import devices


@dataclass
class FakeDevice:
    """What happened on the device: sessions opened with options, memory allocated, copies into it, calls by batch size."""

    kind: str = "cuda"
    opened: list[Any] = field(default_factory=list)
    allocated: list[tuple[int, ...]] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    outputs_on: list[str] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    # How long a copy takes: other threads run meanwhile.
    copy_seconds: float = 0.0
    # Inputs that are read by operators on the CPU.
    in_host_memory: frozenset[str] = frozenset()
    providers: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
        """Put it in the place of onnxruntime's own, and let CUDA be usable."""
        device, real = self, onnxruntime.InferenceSession

        def opened(
            model: bytes, options: Any = None, *, providers: Sequence[Any] = (), enable_fallback: int = 1
        ) -> Any:
            names = [one if isinstance(one, str) else one[0] for one in providers]
            session = real(model, options, providers=["CPUExecutionProvider"])
            if names == ["CPUExecutionProvider"]:
                return session
            assert not enable_fallback, "onnxruntime would fall back to the CPU"
            device.opened.append(list(providers))
            return FakeSession(device, session, [name for name in names if name in device.providers])

        monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(device.providers))
        monkeypatch.setattr(
            onnxruntime, "OrtValue", SimpleNamespace(ortvalue_from_shape_and_type=self.allocate)
        )
        monkeypatch.setattr(devices, "_cuda_problem", lambda: "")
        return self

    def allocate(self, shape: list[int], dtype: Any, kind: str, index: int) -> FakeValue:
        """Memory of the device."""
        assert (kind, index) == (self.kind, 0)
        self.allocated.append(tuple(shape))
        return FakeValue(self, np.zeros(shape, dtype))


@dataclass
class FakeValue:
    """Memory of the device; the host may not read it."""

    device: FakeDevice
    content: np.ndarray[Any, Any]

    def update_inplace(self, array: np.ndarray[Any, Any]) -> None:
        """A copy from host memory, of the size that was allocated."""
        assert (array.shape, array.dtype) == (self.content.shape, self.content.dtype)
        assert array.flags.c_contiguous
        self.content[...] = array
        time.sleep(self.device.copy_seconds)
        self.device.copied.append("device")


@dataclass
class FakeSession:
    """A session on the device."""

    device: FakeDevice
    session: Any
    names: list[str]

    @property
    def _sess(self) -> Any:
        return self.session._sess

    def disable_fallback(self) -> None:
        """As onnxruntime's."""

    def get_providers(self) -> list[str]:
        return self.names

    def get_inputs(self) -> Any:
        return self.session.get_inputs()

    def get_outputs(self) -> Any:
        return self.session.get_outputs()

    def get_input_memory_infos(self) -> list[Any]:
        return [self._memory(tensor.name) for tensor in self.session.get_inputs()]

    def get_output_memory_infos(self) -> list[Any]:
        return [self._memory(tensor.name) for tensor in self.session.get_outputs()]

    def _memory(self, name: str) -> Any:
        return SimpleNamespace(name="Cpu" if name in self.device.in_host_memory else "Cuda")

    def io_binding(self) -> FakeBinding:
        return FakeBinding(self.device)

    def run(self, outputs: list[str], feeds: Any) -> Any:
        return self.session.run(outputs, feeds)

    def run_with_iobinding(self, binding: FakeBinding) -> None:
        self.device.calls.append(len(next(iter(binding.inputs.values()))))
        binding.results = self.session.run([binding.output], dict(binding.inputs))


@dataclass
class FakeBinding:
    """A binding; its outputs are on the device until they are copied."""

    device: FakeDevice
    inputs: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    output: str = ""
    results: list[Any] = field(default_factory=list)

    def bind_ortvalue_input(self, name: str, value: FakeValue) -> None:
        self.inputs[name] = value.content

    def bind_cpu_input(self, name: str, array: np.ndarray[Any, Any]) -> None:
        assert array.dtype != object, "onnxruntime binds no texts"
        self.inputs[name] = array
        self.device.copied.append("host")

    def bind_output(self, name: str, kind: str, index: int) -> None:
        self.output = name
        self.device.outputs_on.append(kind)

    def copy_outputs_to_cpu(self) -> list[Any]:
        return self.results
