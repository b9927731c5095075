"""Rows with one column per feature as arrays, one per feature: what the model takes, before a matrix is assembled. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import TIMESTAMP
from shared.errors import UnservableModel

Array = npt.NDArray[Any]

# Up to here float32 holds every whole number.
MAX_FLOAT_INTEGER: Final = 2**24


def to_arrays(
    features: Sequence[Feature], rows: pa.Table, *, matrix_columns: Collection[str] = ()
) -> dict[str, Array]:
    """One array per feature, of shape [N] or [N, *shape]. Raises UnservableModel.

    `matrix_columns`: the features that reach the model as float32 in its matrix, which rounds large integers.
    """
    return {
        one.name: _to_array(one, rows.column(one.name), as_float=one.name in matrix_columns)
        for one in features
    }


def micros_of(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """Times, none of them missing, in microseconds since 1970-01-01T00:00:00Z."""
    return np.asarray(column.cast(TIMESTAMP, safe=False).cast(pa.int64()).to_numpy())


def _to_array(feature: Feature, column: pa.ChunkedArray, as_float: bool) -> Array:
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
        if column.null_count and not feature.nullable:
            raise ValueError(f"{column.null_count} values are missing")
        if feature.type == "integer" and (feature.nullable or as_float):
            return _to_floats(column)
        if feature.type == "timestamp":
            return micros_of(column)
        kind = pa.int64() if feature.type == "integer" else pa.bool_()
        return np.asarray(pc.cast(column, kind).to_numpy(zero_copy_only=False))
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise UnservableModel(
            f"column {feature.name} of the rows cannot be read as {feature.type}: {error}"
        ) from error


def _to_floats(column: pa.ChunkedArray) -> Array:
    """Whole numbers as float32, missing ones as NaN. Raises ValueError for one that float32 would round."""
    whole = pc.cast(column, pa.int64())
    large = pc.greater(pc.abs(whole), MAX_FLOAT_INTEGER)
    if pc.any(large).as_py():
        value = whole.filter(large)[0].as_py()
        raise ValueError(f"{value} is beyond {MAX_FLOAT_INTEGER}, above which float32 rounds whole numbers")
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
