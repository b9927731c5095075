"""`torch.nn.Module`, exported by torch.onnx: it takes one float32 matrix, one tensor, or one tensor per column."""

from __future__ import annotations

import inspect
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd

from homeostat.model_export.checks.library_errors import first_line
from homeostat.model_export.columns import is_time, to_micros
from homeostat.model_export.libraries.input_checks import (
    not_one_tensor,
    refuse_missing,
    refuse_texts,
)
from homeostat.model_export.libraries.onnx_model import OnnxSource, with_kind
from homeostat.model_export.named_graph import OPSETS, without_zipmap
from homeostat.model_export.prediction_kind import of_classes
from homeostat.model_export.tensors import is_tensor_column, tensor_values
from homeostat.model_export.torch_programs.evaluation_mode import check_program, evaluating, is_program
from shared.errors import ExportRefused

_OUTPUT = "scores"
_NEWEST_IR = 10


def read_program(path: Path) -> Any:
    """The program of a file that `torch.export.save` wrote."""
    import torch

    return torch.export.load(str(path))


def torch_model(
    module: Any, rows: pd.DataFrame, outcomes: pd.Series[Any] | None, *, options: dict[str, Any]
) -> OnnxSource:
    """The module in evaluation mode, or a program of torch.export. `rows`: the columns it takes, in order."""
    import torch

    if options.get("runtime") == "torch":
        from homeostat.model_export.torch_programs.kept_program import kept_program

        return kept_program(module, rows, outcomes, options=options)
    if isinstance(module, torch.export.ExportedProgram):
        module = module.module()
    if is_program(module):
        check_program(module)
    refuse_texts(rows, "a torch module")
    single = _takes_matrix(module, rows)
    notes: tuple[str, ...] = ()
    if not single:
        names, notes = _in_order(module, rows)
        rows = rows[names]
    _try(module, rows, single=single)
    model = without_zipmap(_export(module, rows, single=single))

    def run(tensors: Sequence[Any]) -> Any:
        with evaluating(module), torch.no_grad():
            return module(*map(torch.from_numpy, tensors)).numpy()

    names = [] if single else list(rows.columns)
    source = OnnxSource("torch", of_classes((0, 1)), (), model, _OUTPUT, None, run, names, notes=notes)
    return with_kind(source, rows, outcomes, options=options)


def _parameters(module: Any) -> list[str]:
    """The names of what forward() takes by place."""
    parameters = inspect.signature(module.forward).parameters.values()
    return [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]


def _in_order(module: Any, rows: pd.DataFrame) -> tuple[list[str], tuple[str, ...]]:
    """The columns in the order of the parameters of the same names; else as they are, with a line of the report that says it."""
    names, taken = list(map(str, rows.columns)), _parameters(module)
    if set(taken) == set(names):
        return taken, ()
    pairs = ", ".join(f"{one} is {name!r}" for one, name in zip(taken, names, strict=True))
    return names, (f"forward() takes the columns in this order: {pairs}",)


def _takes_matrix(module: Any, rows: pd.DataFrame) -> bool:
    positional = _parameters(module)
    if len(positional) == 1 and len(rows.columns) > 1 and any(is_tensor_column(rows[name]) for name in rows):
        raise ExportRefused(
            f"the module's forward takes one tensor, and the rows have the columns {', '.join(rows.columns)}",
            hint="name the column of its tensors: export(..., features=['image'])",
        )
    if len(positional) == 1:
        return True
    if len(positional) == len(rows.columns):
        return False
    raise ExportRefused(
        f"the module's forward takes {len(positional)} tensors for {len(rows.columns)} columns",
        hint="take one matrix [N, columns], or one tensor [N] per column; name the columns with features=[...]",
    )


def _export(module: Any, rows: pd.DataFrame, *, single: bool) -> onnx.ModelProto:
    import torch

    given = _inputs(rows, single=single)
    names = ["matrix"] if single else [f"column_{place}" for place in range(len(given))]
    # torch.onnx logs a warning for every optional package that is missing.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory(prefix="homeostat-export-") as folder,
        evaluating(module),
        warnings.catch_warnings(),
    ):
        path = Path(folder) / "model.onnx"
        # A program of torch.export counts as in training mode, although its operators are not.
        warnings.filterwarnings("ignore", "Exporting a model while it is in training mode", UserWarning)
        try:
            torch.onnx.export(
                module,
                given,
                path,
                input_names=names,
                output_names=[_OUTPUT],
                dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in given),
                opset_version=OPSETS[""] + 1,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # torch raises classes of its own for each step
            raise ExportRefused(
                f"torch.onnx cannot export the module: {first_line(error)}",
                hint="see the torch.onnx documentation for its operators",
            ) from error
        model = onnx.load(path)
    model.ir_version = min(model.ir_version, _NEWEST_IR)
    return model


def _inputs(rows: pd.DataFrame, *, single: bool) -> tuple[Any, ...]:
    """The module's inputs for three rows: a matrix, or a tensor per column."""
    import torch

    few = rows.iloc[:3] if len(rows) > 2 else pd.concat([rows] * 3)
    if single and not is_tensor_column(rows.iloc[:, 0]):
        return (torch.from_numpy(few.to_numpy(dtype="float32")),)
    return tuple(torch.from_numpy(_values(few[name])) for name in few)


def _values(values: pd.Series[Any]) -> Any:
    """A column as the module takes it: float32, or int64 and bool as they are; int64 microseconds of a time."""
    if is_time(values):
        return to_micros(values)
    if is_tensor_column(values):
        return tensor_values(values)
    kinds = {"i": "int64", "u": "int64", "b": "bool"}
    kind = kinds.get(values.dtype.kind, "float32")
    refuse_missing(values.to_frame(), np.dtype(kind))
    return values.to_numpy(dtype=kind)


def _try(module: Any, rows: pd.DataFrame, *, single: bool) -> None:
    """Raises ExportRefused if the module fails on its inputs, before torch.onnx says so in many lines."""
    import torch

    given = _inputs(rows, single=single)
    try:
        with evaluating(module), torch.no_grad():
            returned = module(*given)
    except Exception as error:  # whatever the module raises
        shapes = ", ".join(str([None, *one.shape[1:]]).replace("None", "N") for one in given)
        raise ExportRefused(
            f"the module fails on tensors of shape {shapes}: {first_line(error)}",
            hint="pass rows with the shapes that forward() takes without the row axis, such as [1, 8, 8] for one channel"
            if any(is_tensor_column(rows[name]) for name in rows)
            else f"it was given the columns {', '.join(map(str, rows.columns))}: name those of the fit, in its order: "
            "export(..., features=[...])",
        ) from error
    if not isinstance(returned, torch.Tensor):
        raise not_one_tensor(returned)
