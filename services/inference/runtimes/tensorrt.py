"""TensorRT as onnxruntime's execution provider: whether it can be used, its options, and the folder of its engines.

Options: https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html. An engine is built when a version is
loaded, beside the live one, for batches from one row to the largest. Engines are kept by version and precision, in a private
folder.
"""

from __future__ import annotations

import ctypes
import shutil
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import onnxruntime

from services.inference.declared_precision import Form
from shared.errors import UnservableModel
from shared.models.tensor_type import TensorType

PROVIDER: Final = "TensorrtExecutionProvider"
# The libraries that onnxruntime's provider names, in the order in which they need each other.
_LIBRARIES: Final = ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10")
_KEPT_ENGINES: Final = 8


def check_tensorrt() -> None:
    """Load its libraries. Raises UnservableModel where TensorRT is not usable: there is no fallback."""
    if problem := _problem():
        raise UnservableModel(
            f"TensorRT is declared for the model, but not usable: {problem}",
            hint='install it beside onnxruntime-gpu (`pip install "tensorrt-cu13-libs<11"`), or take the model out of '
            "HOMEOSTAT_INFERENCE_TENSORRT",
        )


def engine_folder(root: Path, version: str, form: Form) -> Path:
    """The folder for the engines of a version, made private; those of versions that were not loaded for longest are removed.

    An engine is code: only this server writes here, and nobody else may.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root.chmod(0o700)
    folder = root / f"{version}-{form.precision}"
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.touch()
    newest = sorted(
        (path for path in root.iterdir() if path.is_dir()),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for old in newest[_KEPT_ENGINES:]:
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def tensorrt_options(
    form: Form, folder: Path, inputs: Sequence[TensorType], *, maximum_batch_rows: int
) -> Mapping[str, str]:
    """The provider's options for a model with these inputs."""
    options = {
        "device_id": "0",
        "trt_fp16_enable": _flag(form.precision == "fp16"),
        "trt_bf16_enable": _flag(form.precision == "bf16"),
        # Sums over a row lose most in half precision.
        "trt_layer_norm_fp32_fallback": _flag(form.precision != "fp32"),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder.parent),
    }
    shapes = _row_shapes(inputs)
    if shapes is not None:
        # Without a profile each new size of batch would build the engine again, under load.
        for name, rows in (("min", 1), ("opt", maximum_batch_rows), ("max", maximum_batch_rows)):
            options[f"trt_profile_{name}_shapes"] = ",".join(
                f"{tensor}:{'x'.join(str(axis) for axis in (rows, *shape))}"
                for tensor, shape in shapes.items()
            )
    return options


def _row_shapes(inputs: Sequence[TensorType]) -> dict[str, tuple[int, ...]] | None:
    """The shape of a row of each input; None if one has a free axis beside the rows."""
    shapes = {}
    for tensor in inputs:
        axes = [axis for axis in tensor.shape[1:] if axis is not None]
        if len(axes) != len(tensor.shape) - 1:
            return None
        shapes[tensor.name] = tuple(axes)
    return shapes


def _problem() -> str:
    if PROVIDER not in onnxruntime.get_available_providers():
        return "this onnxruntime was built without TensorRT"
    # The wheel's folder is on no path of the linker; libraries that are loaded are found by their name.
    wheel = Path(sysconfig.get_path("platlib")) / "tensorrt_libs"
    for library in _LIBRARIES:
        path = wheel / library
        try:
            ctypes.CDLL(str(path) if path.exists() else library, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return f"{library} cannot be loaded: {error}"
    return ""


def _flag(is_on: bool) -> str:
    return "1" if is_on else "0"
