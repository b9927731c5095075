"""Writes the files of an exported model project, each atomically."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.contracts.manifest import REFERENCE
from shared.contracts.version_files.names import MODEL_FILES
from shared.errors import ExportRefused
from shared.files import atomic_path, write_atomic

LOOP = "loop.yaml"
METRICS = "metrics.json"
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# Up to the year 5138 in each unit.
_MAX_IN_UNIT = (("s", 1e11), ("ms", 1e14), ("us", 1e17))
_OFFSET = re.compile(r"(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})\s*$", re.IGNORECASE)


def event_times(rows: pd.DataFrame, name: str) -> pd.Series[pd.Timestamp] | None:
    """The column of event times in UTC; None without such a column."""
    if name not in rows:
        return None
    _refuse_numbers(rows[name])
    try:
        times = pd.to_datetime(rows[name], utc=True)
    except (TypeError, ValueError):
        raise ExportRefused(
            f"the column {name!r} holds values that are not times",
            hint="name the event time with event_time=",
        ) from None
    if times.isna().any():
        raise ExportRefused(f"the column {name!r} has missing values", hint="every row needs an event time")
    if _lacks_offset(rows[name]):
        raise ExportRefused(
            f"the column {name!r} has times without an offset from UTC",
            hint=f'write them in UTC: rows["{name}"] = pd.to_datetime(rows["{name}"]).dt.tz_localize("UTC")',
        )
    return times


def _refuse_numbers(column: pd.Series[Any]) -> None:
    """pandas reads a number as nanoseconds since 1970, whatever its unit: seconds of 2026 would become 1970."""
    known = column.dropna()
    numbers = known[known.map(lambda value: isinstance(value, Number)).to_numpy(dtype=bool)]
    if not len(numbers):
        return
    largest = float(numbers.astype("float64").abs().max())
    unit = next((unit for unit, most in _MAX_IN_UNIT if largest < most), "ns")
    name = f'rows["{column.name}"]'
    raise ExportRefused(
        f"the column {str(column.name)!r} holds numbers, but an event time must be a time",
        hint=f'if they are {_UNITS[unit]} since 1970: {name} = pd.to_datetime({name}, unit="{unit}", utc=True)',
    )


def _lacks_offset(column: pd.Series[Any]) -> bool:
    """Whether a time has no offset: it would be read as UTC, whatever the owner meant."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return True
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return False
    return any(
        _OFFSET.search(value) is None if isinstance(value, str) else getattr(value, "tzinfo", UTC) is None
        for value in column.unique()
    )


def reference_table(
    features: pa.Table, times: pd.Series[pd.Timestamp], outcomes: pa.Array | None
) -> pa.Table:
    """The rows of the reference: event_time, the features, outcome (null where it is unknown; none of an embedding)."""
    moments = pa.array(times.dt.tz_convert("UTC").to_numpy("datetime64[us]"), pa.timestamp("us"))
    columns = {"event_time": pc.assume_timezone(moments, "UTC")}
    columns |= {name: features.column(name) for name in features.column_names}
    return pa.table(columns if outcomes is None else {**columns, "outcome": outcomes})


def write_project(
    folder: Path,
    *,
    loop_yaml: str | None,
    model: tuple[str, bytes],
    metrics: Mapping[str, float],
    reference: pa.Table | None,
) -> tuple[str, ...]:
    """Write the files into `folder`, created if needed; loop.yaml only if given; return their names. `model`: name, bytes.

    The reference of an earlier export is removed first: it is about another model, also if this export has none or is ended. So
    is its model in another format: a project has one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REFERENCE).unlink(missing_ok=True)
    model_file, content = model
    for other in MODEL_FILES:
        if other != model_file:
            (folder / other).unlink(missing_ok=True)
    written = [model_file, METRICS]
    write_atomic(folder / model_file, content)
    write_atomic(folder / METRICS, orjson.dumps(dict(metrics)) + b"\n")
    if reference is not None:
        with atomic_path(folder / REFERENCE) as path:
            pq.write_table(reference, path)
        written.append(REFERENCE)
    if loop_yaml is not None:
        write_atomic(folder / LOOP, loop_yaml.encode())
        written.append(LOOP)
    return tuple(written)


def model_name(folder: Path) -> str:
    """A model name from the folder's name."""
    text = re.sub(r"[^a-z0-9_-]+", "-", folder.absolute().name.lower()).strip("-_")
    return text[:63] if text[:1].isalpha() else f"model-{text}"[:63].rstrip("-")
