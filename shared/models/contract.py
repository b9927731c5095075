"""The model contract: what a model file takes and returns. Deployment, the gate and the server check it with this module.

- Inputs: one per feature, under its name, of its type; shape [N] or [N, 1], for a tensor [N, *shape]. The row axis N is free.
  Missing values are NaN, or the empty string. A nullable integer is a float input, since int64 has no value for missing.
- Output: `prediction.output`, or the first one: float or double; one score per row, [N] or [N, 1], one probability per row and
  label, [N, K], or one tensor per row.
- Every output value is finite; the probabilities of a row are not negative and sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.feature import Feature
from shared.contracts.loop_spec import Prediction
from shared.errors import UnservableModel

Array = npt.NDArray[Any]

_INPUT_TYPES: Final = {
    "number": "tensor(float)",
    "integer": "tensor(int64)",
    "boolean": "tensor(bool)",
    "category": "tensor(string)",
    "text": "tensor(string)",
    "tensor": "tensor(float)",
}
# Up to here float32 holds every whole number.
LARGEST_FLOAT_INTEGER: Final = 2**24
OUTPUT_TYPES: Final = ("tensor(float)", "tensor(double)")
# The server answers these beside the probabilities of classes.
CLASS_OUTPUTS: Final = frozenset({"label", "score", "prediction_id"})
# A softmax in float32 misses 1 by 1e-6, in half precision by 1e-3.
SUM_TOLERANCE: Final = 2e-3


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


@dataclass(frozen=True)
class Signature:
    """The checked inputs and output of a model. `columns`: scalar inputs of shape [N, 1]."""

    inputs: Mapping[str, TensorType]
    output: TensorType
    columns: tuple[str, ...]


def input_type(feature: Feature) -> str:
    """The type of a feature's input, as onnxruntime names it."""
    is_float = feature.type == "integer" and feature.nullable
    return "tensor(float)" if is_float else _INPUT_TYPES[feature.type]


def check_signature(
    features: Sequence[Feature],
    prediction: Prediction,
    inputs: Sequence[TensorType],
    outputs: Sequence[TensorType],
) -> Signature:
    """Raises UnservableModel that names the first input or output against the contract."""
    by_name = {tensor.name: tensor for tensor in inputs}
    _check_names({feature.name for feature in features}, set(by_name))
    for feature in features:
        _check_input(feature, by_name[feature.name])
    columns = (
        feature.name
        for feature in features
        if feature.type != "tensor" and len(by_name[feature.name].shape) == 2
    )
    return Signature(by_name, _find_output(prediction, outputs), tuple(columns))


def to_inputs(features: Sequence[Feature], rows: pa.Table) -> dict[str, Array]:
    """Rows with one column per feature, as model inputs of shape [N] or [N, *shape]. Raises UnservableModel."""
    return {feature.name: _to_array(feature, rows.column(feature.name)) for feature in features}


def check_rows(output: Array, rows: int, *, scores: bool, classes: int = 0) -> Array:
    """The output with one score, one probability per class, or one tensor per row. Raises UnservableModel for another shape."""
    if scores and output.size == rows:
        return output.reshape(rows)
    if not scores and output.ndim and len(output) == rows and (not classes or output.shape[1:] == (classes,)):
        return output
    expected = "score" if scores else f"row of {classes} probabilities" if classes else "tensor"
    raise UnservableModel(
        f"the model returned shape {list(output.shape)} for {rows} rows",
        hint=f"return one {expected} per row",
    )


def check_probabilities(output: Array, *, first_row: int = 0) -> None:
    """Raises UnservableModel that names the first row that is no distribution over the classes."""
    sums = output.sum(axis=1, dtype=np.float64)
    fits = (np.abs(sums - 1) <= SUM_TOLERANCE) & (output.min(axis=1) >= 0)
    if not fits.all():
        row = int(np.argmin(fits))
        raise UnservableModel(
            f"the probabilities of row {first_row + row} sum to {sums[row]:.4g}, the smallest is {output[row].min():.4g}",
            hint="end the model with a softmax over the classes (axis 1), so that each row sums to 1",
        )


def check_finite(output: Array, *, first_row: int = 0) -> None:
    """Raises UnservableModel that names the first row with NaN or infinity. `output` has one entry per row."""
    finite = np.isfinite(output)
    if not finite.all():
        row = int(np.argmin(finite.reshape(len(output), -1).all(axis=1)))
        raise UnservableModel(
            f"the model returned a value that is not finite for row {first_row + row}",
            hint="every output value must be a finite number",
        )


def _check_names(features: set[str], inputs: set[str]) -> None:
    missing, extra = sorted(features - inputs), sorted(inputs - features)
    problems = [f"inputs missing: {', '.join(missing)}"] if missing else []
    problems += [f"inputs that are not features: {', '.join(extra)}"] if extra else []
    if problems:
        raise UnservableModel(
            f"the model's inputs differ from the features; {'; '.join(problems)}",
            hint="export the model with one input per feature",
        )


def _check_input(feature: Feature, tensor: TensorType) -> None:
    wanted = input_type(feature)
    if tensor.kind != wanted:
        kind = f"nullable {feature.type}" if feature.nullable else feature.type
        raise UnservableModel(
            f"input {feature.name} is {tensor.kind}", hint=f"feature type {kind} is {wanted}"
        )
    row_shapes: list[tuple[int, ...]] = [feature.shape] if feature.type == "tensor" else [(), (1,)]
    if not any(_fits(tensor.shape, shape) for shape in row_shapes):
        expected = " or ".join(_show((None, *shape)) for shape in row_shapes)
        raise UnservableModel(
            f"input {feature.name} has shape {_show(tensor.shape)}",
            hint=f"expected {expected}, with a dynamic row axis N",
        )


def _fits(shape: tuple[int | None, ...], row: tuple[int, ...]) -> bool:
    return (
        len(shape) == len(row) + 1
        and shape[0] is None
        and all(have in (None, want) for have, want in zip(shape[1:], row, strict=True))
    )


def _find_output(prediction: Prediction, outputs: Sequence[TensorType]) -> TensorType:
    wanted = prediction.output
    found = next((tensor for tensor in outputs if not wanted or tensor.name == wanted), None)
    if found is None:
        names = ", ".join(tensor.name for tensor in outputs)
        raise UnservableModel(
            f"the model has no output {wanted!r}",
            hint=f"set prediction.output in loop.yaml to one of: {names}",
        )
    if found.kind not in OUTPUT_TYPES:
        usable = ", ".join(tensor.name for tensor in outputs if tensor.kind in OUTPUT_TYPES)
        hint = "expected tensor(float)" + (f"; set prediction.output to one of: {usable}" if usable else "")
        raise UnservableModel(f"output {found.name} is {found.kind}", hint=hint)
    if prediction.kind == "classes":
        _check_class_output(found, len(prediction.labels))
        return found
    scores = prediction.kind != "tensor"
    fixed = bool(found.shape) and found.shape[0] is not None
    one_score = len(found.shape) == 1 or (len(found.shape) == 2 and found.shape[1] in (1, None))
    if fixed or (scores and not one_score):
        raise UnservableModel(
            f"output {found.name} has shape {_show(found.shape)}",
            hint=f"expected {'[N] or [N, 1]' if scores else '[N, …]'}, with a dynamic row axis N: export with "
            f"dynamic_axes={{'{found.name}': {{0: 'N'}}}}"
            + ("; end a model whose output has no shape with a Reshape to [-1]" if not found.shape else ""),
        )
    return found


def _check_class_output(found: TensorType, classes: int) -> None:
    if not _fits(found.shape, (classes,)):
        raise UnservableModel(
            f"output {found.name} has shape {_show(found.shape)}",
            hint=f"expected [N, {classes}], one probability per entry of prediction.labels, with a dynamic row axis N",
        )
    if found.name in CLASS_OUTPUTS:
        raise UnservableModel(
            f"the output of the probabilities is named {found.name}, which the server uses for another output",
            hint="rename it, for example to probabilities",
        )


def _show(shape: tuple[int | None, ...]) -> str:
    free = iter(["N"] if shape[:1] == (None,) else [])
    return f"[{', '.join(next(free, '?') if axis is None else str(axis) for axis in shape)}]"


def _to_array(feature: Feature, column: pa.ChunkedArray) -> Array:
    try:
        if feature.type in ("category", "text"):
            # A missing category or text reaches the model as an empty string.
            text = pc.fill_null(pc.cast(column, pa.string()), "")
            return np.asarray(text.to_numpy(zero_copy_only=False), dtype=object)
        if feature.type == "tensor":
            return _to_tensors(column, feature.shape)
        if feature.type == "number":
            numbers = pc.fill_null(pc.cast(column, pa.float64()), float("nan"))
            return np.asarray(numbers.to_numpy(), dtype=np.float32)
        if feature.type == "integer" and feature.nullable:
            return _to_floats(column)
        if column.null_count:
            raise ValueError(f"{column.null_count} values are missing")
        kind = pa.int64() if feature.type == "integer" else pa.bool_()
        return np.asarray(pc.cast(column, kind).to_numpy(zero_copy_only=False))
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise UnservableModel(
            f"column {feature.name} of the rows cannot be read as {feature.type}: {error}"
        ) from error


def _to_floats(column: pa.ChunkedArray) -> Array:
    """Whole numbers as float32, missing ones as NaN. Raises ValueError for one that float32 would round."""
    whole = pc.cast(column, pa.int64())
    large = pc.greater(pc.abs(whole), LARGEST_FLOAT_INTEGER)
    if pc.any(large).as_py():
        value = whole.filter(large)[0].as_py()
        raise ValueError(
            f"{value} is beyond {LARGEST_FLOAT_INTEGER}, up to where float32 holds every whole number"
        )
    numbers = pc.fill_null(pc.cast(whole, pa.float32()), float("nan"))
    return np.asarray(numbers.to_numpy(), dtype=np.float32)


def _to_tensors(column: pa.ChunkedArray, shape: tuple[int, ...]) -> Array:
    """Flat lists, or lists nested like the shape, as float32 [N, *shape]. Raises ValueError that names the first wrong row."""
    kind = column.type
    is_nested = hasattr(kind, "value_type") and hasattr(kind.value_type, "value_type")
    values, width = column, 1  # `width` lists at this level make one row
    for length in shape if is_nested else (math.prod(shape),):
        if values.null_count:
            raise ValueError(f"row {pc.index(pc.is_null(values), True).as_py() // width} has missing values")
        lengths = pc.list_value_length(values)
        wrong = pc.index(pc.not_equal(lengths, length), True).as_py()
        if wrong >= 0:
            raise ValueError(f"row {wrong // width} has a list of {lengths[wrong]} values, expected {length}")
        values, width = pc.list_flatten(values), width * length
    if values.null_count:
        raise ValueError(f"row {pc.index(pc.is_null(values), True).as_py() // width} has missing values")
    flat = values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    return np.asarray(flat, dtype=np.float32).reshape(len(column), *shape)
