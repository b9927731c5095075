"""An input or output of a model, as its runtime names it. The isolated processes of models import this and no contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TensorType:
    """An input or output of a model: `kind` as onnxruntime names it, such as `tensor(float)`; a free axis is None."""

    name: str
    kind: str
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, argument: Any) -> TensorType:
        """From an onnxruntime NodeArg."""
        free = (axis if isinstance(axis, int) else None for axis in argument.shape)
        return cls(argument.name, argument.type, tuple(free))
