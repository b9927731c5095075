"""What a torch module or an ONNX file takes, checked against the rows before it runs: its own errors name no column. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pandas as pd

from homeostat.model_export.columns import is_time
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.tensors import is_tensor_column
from shared.errors import ExportRefused


def refuse_missing(rows: pd.DataFrame, kind: np.dtype[Any]) -> None:
    """Raises ExportRefused that names the first column with missing values, if it is taken as a whole number or a bool."""
    if kind.kind not in "ib":
        return
    for name in rows.columns:
        if rows[name].isna().any():
            column = f'rows["{name}"]'
            raise ExportRefused(
                f"the column {str(name)!r} has missing values, and the model takes it as {kind}, "
                "which has no value that means missing",
                hint=f'fill them before fitting, or let the model take float32: {column} = {column}.astype("float32")',
            )


def refuse_texts(rows: pd.DataFrame, taker: str) -> None:
    """Raises ExportRefused that names the first column which is not numbers, times or arrays. `taker`: the model, in words."""
    for name in rows.columns:
        values = rows[name]
        if pd.api.types.is_numeric_dtype(values.dtype) or is_time(values) or is_tensor_column(values):
            continue
        known = values.dropna()
        column = f"rows[{str(name)!r}]"
        if len(known) and type(known.iloc[0]).__module__.partition(".")[0] == "torch":
            raise ExportRefused(
                f"the column {str(name)!r} holds tensors of torch",
                hint=f"make them arrays with .numpy(): {column} = [one.numpy() for one in {column}]",
            )
        raise ExportRefused(
            f"{taker} cannot take the column {str(name)!r}, which is not numeric",
            hint=f"if it is the outcome, pass outcome={str(name)!r}; if no input, name the inputs with features=[...]; else "
            "encode categories as numbers, or put strings into the graph as `homeostat init --with torch` does",
        )


def refuse_nan(scores: Floats, rows: pd.DataFrame) -> None:
    """Raises ExportRefused for scores that are NaN: it names the columns with missing values, where rows have some."""
    if scores.ndim == 0 or len(scores) != len(rows) or not np.isnan(scores).any():
        return
    gone = np.asarray(np.isnan(scores).reshape(len(rows), -1).any(axis=1))
    missing = [repr(str(name)) for name in rows.columns if rows[name].isna().to_numpy()[gone].any()]
    if missing:
        raise ExportRefused(
            f"the model returns NaN for {int(gone.sum())} of {len(rows)} rows, which have missing values in {', '.join(missing)}",
            hint="fill them inside the model, such as torch.where(torch.isnan(x), means, x) in forward(), or before fitting",
        )
    raise ExportRefused(
        f"the model returns NaN for row {int(np.argmax(gone))}, which has no missing value",
        hint="check the weights, and numbers that are too large for float32 or divided by zero",
    )


def refuse_times(rows: pd.DataFrame) -> None:
    """Raises ExportRefused that names the first column of times: they do not fit into a matrix of floats."""
    times = [name for name in rows.columns if is_time(rows[name])]
    if times:
        raise ExportRefused(
            f"the model takes one matrix, and the column {times[0]!r} holds times",
            hint="give the model one input per column, int64 for a time, or turn times into numbers before fitting",
        )


def refuse_fixed_rows(inputs: Sequence[onnx.ValueInfoProto]) -> None:
    """Raises ExportRefused that names the first input whose number of rows is fixed."""
    for one in inputs:
        axes = one.type.tensor_type.shape.dim
        if axes and axes[0].dim_value > 0:
            shape = ", ".join(str(axis.dim_value or axis.dim_param or "?") for axis in axes)
            raise ExportRefused(
                f"the model's input {one.name!r} has the shape [{shape}]: its number of rows is fixed",
                hint="export it with a free first axis; with torch.onnx.export: dynamo=True and "
                "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},) for one input, "
                f"or dynamo=False and dynamic_axes={{'{one.name}': {{0: 'rows'}}}}",
            )


def require_inputs(names: Sequence[str], rows: pd.DataFrame) -> None:
    """Raises ExportRefused that names the first input which is no column of the rows."""
    for name in names:
        if name not in rows.columns:
            raise ExportRefused(
                f"the model has the input {name!r}, which is not a column of the rows",
                hint=f"rename a column to it, or the input; the columns are {', '.join(map(str, rows.columns))}",
            )


def not_one_tensor(returned: Any) -> ExportRefused:
    """The error for a module whose forward() does not return one tensor; it says what was returned."""
    if isinstance(returned, dict):
        found = f"a dict with the keys {', '.join(map(repr, returned))}"
        chosen = f"[{next(iter(returned), 'scores')!r}]"
    elif isinstance(returned, tuple | list):
        found, chosen = f"a {type(returned).__name__} of {len(returned)}", "[0]"
    else:
        found, chosen = f"a {type(returned).__name__}", ".scores"
    return ExportRefused(
        f"the module's forward returns {found}, not one tensor",
        hint=f"export a module whose forward returns the tensor of scores, for example self.model(*inputs){chosen}",
    )
