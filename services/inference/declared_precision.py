"""The precision in which a model is computed, and whether TensorRT computes it, as the settings declare it. Pure.

- `fp32`: float32, as the model was packaged; on a GPU without TF32.
- `tf32`: float32 that a GPU multiplies with a mantissa of 10 bits.
- `fp16`: float16; inputs and outputs stay float32.
- `bf16`: bfloat16, by TensorRT only: onnxruntime brings no conversion of a model to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from shared.errors import UnservableModel

Precision = Literal["fp32", "tf32", "fp16", "bf16"]


@dataclass(frozen=True)
class Form:
    """What is declared for a model."""

    precision: Precision = "fp32"
    tensorrt: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether answers are those of float32, computed by onnxruntime's own operators."""
        return self == Form()

    def __str__(self) -> str:
        return f"{self.precision} with TensorRT" if self.tensorrt else self.precision

    @property
    def runtime(self) -> str:
        """What computes it."""
        return "tensorrt" if self.tensorrt else "onnxruntime"

    def check(self, device: str) -> None:
        """Raises UnservableModel for a form that this device does not compute."""
        if self.tensorrt and device != "cuda":
            raise UnservableModel(
                f"TensorRT is declared for the model, but the device is {device}",
                hint="remove it from HOMEOSTAT_INFERENCE_TENSORRT, or set HOMEOSTAT_INFERENCE_DEVICE=cuda where there is a GPU",
            )
        if self.precision == "tf32" and device != "cuda":
            raise UnservableModel(
                f"precision tf32 is declared for the model, but the device {device} does not support it",
                hint="set fp32 in HOMEOSTAT_INFERENCE_PRECISION or HOMEOSTAT_INFERENCE_PRECISION_BY_MODEL",
            )
        if self.precision == "bf16" and not self.tensorrt:
            raise UnservableModel(
                "precision bf16 is declared for the model, but onnxruntime cannot convert a model to it",
                hint="set fp16 in HOMEOSTAT_INFERENCE_PRECISION or HOMEOSTAT_INFERENCE_PRECISION_BY_MODEL, or name the model in "
                "HOMEOSTAT_INFERENCE_TENSORRT",
            )


@dataclass(frozen=True)
class DeclaredForms:
    """The forms of all models of a server."""

    precision: Precision
    precision_by_model: Mapping[str, Precision]
    tensorrt: Collection[str]

    def of(self, model: str) -> Form:
        """The form of a model."""
        return Form(self.precision_by_model.get(model, self.precision), model in self.tensorrt)
