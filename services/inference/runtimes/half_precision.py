"""Converts a model to float16 with onnxruntime's own converter. Its inputs and outputs keep their types.

Operators that have no float16, such as trees, stay in float32. Weights beyond the range of float16 become its limits, and results
beyond it infinite: what that does to the answers is measured at load.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from shared.errors import UnservableModel


def to_float16(model: bytes) -> bytes:
    """The model in float16. Raises UnservableModel where it cannot be converted."""
    # Here, since onnx takes a quarter of the CPU time that the isolated process needs to start.
    import onnx
    from onnxruntime.transformers import float16

    # The package puts its folder, with modules such as `models` and `fusion_utils`, on the path of every import.
    with suppress(ValueError):
        sys.path.remove(str(Path(float16.__file__).parent))
    try:
        converted = float16.convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
        result: bytes = converted.SerializeToString()
    except Exception as error:  # of asserts, onnx's shape inference and protobuf
        raise UnservableModel(
            f"the model cannot be converted to fp16: {error or type(error).__name__}",
            hint="set fp32 for it in HOMEOSTAT_INFERENCE_PRECISION_BY_MODEL",
        ) from error
    return result
