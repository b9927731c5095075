"""Columns whose values are lists or arrays: images, embeddings, series. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from shared.errors import ExportRefused


def is_tensor_column(values: pd.Series[Any]) -> bool:
    """Whether the values are lists, tuples or arrays, by the first one that is there."""
    known = values.dropna() if values.dtype == object else values.iloc[:0]
    return bool(len(known)) and isinstance(known.iloc[0], list | tuple | np.ndarray)


def tensor_values(values: pd.Series[Any]) -> npt.NDArray[np.float32]:
    """The column as one array [N, *shape], in the precision of requests. Raises ExportRefused that names an uneven row."""
    rows: list[npt.NDArray[np.float32]] = []
    for place, value in enumerate(values):
        try:
            row = np.asarray(_plain(value), dtype=np.float32)
        except (TypeError, ValueError):
            raise ExportRefused(
                f"column {values.name!r} has a value in row {place} that is no array of numbers",
                hint="pass lists or numpy arrays of numbers, nested alike in every row, without missing ones",
            ) from None
        if rows and row.shape != rows[0].shape:
            raise ExportRefused(
                f"column {values.name!r} has shape {list(row.shape)} in row {place}, and {list(rows[0].shape)} in row 0",
                hint="bring all rows to one shape before fitting: crop, resize or pad them",
            )
        rows.append(row)
    if not rows[0].ndim or not rows[0].size:
        raise ExportRefused(
            f"column {values.name!r} holds arrays of shape {list(rows[0].shape)}",
            hint="a tensor has at least one number per row",
        )
    return np.stack(rows)


def tensor_lists(values: pd.Series[Any]) -> pa.Array:
    """The column as Parquet holds it: one flat list of float32 per row."""
    tensors = tensor_values(values)
    flat = tensors.reshape(len(tensors), -1)
    offsets = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32 if flat.size < 2**31 else np.int64)
    kind = pa.ListArray if offsets.dtype == np.int32 else pa.LargeListArray
    return kind.from_arrays(pa.array(offsets), pa.array(flat.ravel(), pa.float32()))


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """A table of Arrow as a frame; tensors of Arrow's own type keep their shape."""
    frame: pd.DataFrame = rows.to_pandas()
    for name in rows.column_names:
        if isinstance(rows.schema.field(name).type, pa.FixedShapeTensorType):
            frame[name] = list(rows.column(name).combine_chunks().to_numpy_ndarray())
    return frame


def _plain(value: Any) -> Any:
    """Arrays inside arrays, as pandas reads nested lists of Parquet, as lists."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(one) for one in value]
    return value
