"""Reads a feature from the columns that store it, as one column of the feature's type. Pure.

A predictions table has one column per feature and type that it ever had: see `storing_column`. A row has a value in at most
one of them, that of its version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import (
    FEATURE_PREFIX,
    FEATURE_TYPES,
    feature_column,
    feature_of,
    reads_as,
    stored_type,
)

# Up to here float64 holds every whole number.
_MAX_WHOLE: Final = 2.0**53


@dataclass(frozen=True)
class FeatureColumns:
    """The columns of a table that store a feature: `readable` as its type, and `others`, which hold values of other types."""

    feature: Feature
    readable: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the feature's column in what is read."""
        return feature_column(self.feature.name)

    @property
    def stored(self) -> tuple[str, ...]:
        """All columns to read."""
        return (*self.readable, *self.others)


def feature_columns(schema: pa.Schema, feature: Feature) -> FeatureColumns:
    """The columns of `schema` that store a feature, under any spelling and of any type that it had."""
    readable: list[str] = []
    others: list[str] = []
    for field in schema:
        if not field.name.startswith(FEATURE_PREFIX):
            continue
        if feature_of(field.name).casefold() == feature.name.casefold():
            (readable if _is_readable(field.type, feature.type) else others).append(field.name)
    return FeatureColumns(feature, tuple(readable), tuple(others))


def read_feature(rows: pa.Table, columns: FeatureColumns) -> pa.ChunkedArray:
    """The feature's values, null where a row has none of its type. A single column of the type is returned as it is."""
    if not columns.stored:
        return pa.chunked_array([pa.nulls(rows.num_rows)])
    wanted = FEATURE_TYPES[columns.feature.type]
    parts = [_as_type(rows[name], wanted) for name in columns.readable]
    if not parts:
        return pa.chunked_array([pa.nulls(rows.num_rows, wanted)])
    return parts[0] if len(parts) == 1 else pc.coalesce(*(part.cast(wanted) for part in parts))


def has_other_type(rows: pa.Table, columns: FeatureColumns) -> pa.ChunkedArray:
    """Of each row, whether it has a value of the feature, but none of its type."""
    empty = pc.is_null(read_feature(rows, columns))
    found = pa.chunked_array([pa.repeat(False, rows.num_rows)])
    for name in columns.stored:
        found = pc.or_(found, pc.is_valid(rows[name]))
    return pc.and_(empty, found)


def as_one_feature(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table with one entry per feature, `f_` and its name, whatever column its value is stored in."""
    merged: dict[str, Any] = {}
    for column, value in row.items():
        name = feature_column(feature_of(column)) if column.startswith(FEATURE_PREFIX) else column
        if value is not None or name not in merged:
            merged[name] = value
    return merged


def _is_readable(kind: pa.DataType, wanted: str) -> bool:
    stored = stored_type(kind)
    return reads_as(stored, wanted) or (stored, wanted) == ("number", "integer")


def _as_type(values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if stored_type(values.type) == stored_type(wanted):
        return values
    if not pa.types.is_integer(wanted):
        return values.cast(
            wanted, safe=False
        )  # an integer beyond 2^53 is rounded, as by every reader of numbers
    numbers = values.cast(pa.float64())
    whole = pc.and_(pc.equal(numbers, pc.floor(numbers)), pc.less_equal(pc.abs(numbers), _MAX_WHOLE))
    return pc.if_else(whole, numbers, None).cast(wanted)
