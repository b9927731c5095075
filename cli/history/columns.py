"""Values of a file in the types of the lake, and the rows of each that do not have such a value. Pure.

A column is converted as a whole; only where that fails are its values tried one by one, to name those that are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.event_time import TIME_FORM
from shared.contracts.feature import Feature
from shared.contracts.lake_schema import FEATURE_TYPES, TIMESTAMP
from shared.models.valid_values import outside
from shared.validation_text import kind_of, show

Problems = dict[int, str]
"""What is wrong with a value, by the place of its row."""

_KINDS = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "category": "text",
    "text": "text",
    "timestamp": f"a time, {TIME_FORM}",
}


def feature_values(feature: Feature, column: pa.Array) -> tuple[pa.Array, Problems]:
    """The values of a feature, null where they are missing or wrong."""
    kind = FEATURE_TYPES[feature.type]
    if feature.type == "tensor":
        size = math.prod(feature.shape)
        values, problems = _one_by_one(
            _decoded(column), kind, lambda value: _numbers(value, size), f"a list of {size} numbers", feature
        )
    elif feature.type == "timestamp":
        values, problems = times(column, feature)
    else:
        values, problems = _converted(_decoded(column), kind, _KINDS[feature.type], feature)
        values = _finite(values, problems)
    if not feature.nullable:
        for place in np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist():
            problems.setdefault(place, "is missing; the feature is not `nullable`")
    if feature.type == "category":
        present = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        unknown = outside(feature, np.asarray(values.drop_null().to_numpy(zero_copy_only=False), object))
        if unknown is not None:
            for place in present[unknown].tolist():
                problems.setdefault(
                    place,
                    f"is {_shown(values[place].as_py(), feature)}, which is not in `values` of loop.yaml",
                )
    return values, problems


def times(column: pa.Array, feature: Feature | None = None) -> tuple[pa.Array, Problems]:
    """Times in UTC. Timestamps need a time zone, and text an offset."""
    column = _decoded(column)
    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            return pa.nulls(len(column), TIMESTAMP), dict.fromkeys(
                np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)).tolist(),
                f"is a {column.type}, without a time zone: write it in UTC",
            )
        return column.cast(TIMESTAMP, safe=False), {}
    if pa.types.is_null(column.type):
        return column.cast(TIMESTAMP), {}
    return _one_by_one(column, TIMESTAMP, _time, _KINDS["timestamp"], feature)


def numbers(column: pa.Array) -> tuple[pa.Array, Problems]:
    """Finite numbers."""
    values, problems = _converted(_decoded(column), pa.float64(), _KINDS["number"], None)
    return _finite(values, problems), problems


def texts(column: pa.Array) -> pa.Array:
    """Text; empty text is missing."""
    values = _decoded(column).cast(pa.string())
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


def objects(column: pa.Array) -> pa.Array:
    """Values as Python has them: JSON text is parsed, where it is JSON."""
    return [_parsed(value) for value in _decoded(column).to_pylist()]


def _decoded(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    if pa.types.is_string(column.type):
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    return column


def _converted(
    column: pa.Array, kind: pa.DataType, expected: str, feature: Feature | None
) -> tuple[pa.Array, Problems]:
    if pa.types.is_floating(column.type) and not pa.types.is_floating(kind):
        # pandas holds whole numbers with missing ones as floats.
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_boolean(column.type) and not pa.types.is_boolean(kind):
        return _one_by_one(column, kind, lambda _: None, expected, feature)
    try:
        return column.cast(kind), {}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass

    def one(value: Any) -> Any:
        try:
            return pa.array([value]).cast(kind)[0].as_py()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None

    return _one_by_one(column, kind, one, expected, feature)


def _one_by_one(
    column: pa.Array,
    kind: pa.DataType,
    convert: Callable[[Any], Any],
    expected: str,
    feature: Feature | None,
) -> tuple[pa.Array, Problems]:
    """`convert` returns None for a value that is none of that kind."""
    problems: Problems = {}
    values = []
    for place, value in enumerate(column.to_pylist()):
        found = None if value is None else convert(value)
        if value is not None and found is None:
            problems[place] = f"is {_shown(value, feature)}; expected {expected}"
        values.append(found)
    return pa.array(values, kind), problems


def _finite(values: pa.Array, problems: Problems) -> pa.Array:
    """NaN is a missing value; infinite numbers are wrong."""
    if not pa.types.is_floating(values.type):
        return values
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    infinite = pc.fill_null(pc.is_inf(values), False)
    for place in np.flatnonzero(infinite.to_numpy(zero_copy_only=False)).tolist():
        problems.setdefault(place, "is infinite; expected a finite number")
    return pc.if_else(infinite, pa.scalar(None, values.type), values)


def _numbers(value: Any, size: int) -> list[float] | None:
    flat = _flat(_parsed(value))
    if flat is None or len(flat) != size or not all(math.isfinite(number) for number in flat):
        return None
    return flat


def _flat(value: Any) -> list[float] | None:
    if isinstance(value, list):
        parts = [_flat(part) for part in value]
        return None if None in parts else [number for part in parts for number in part or ()]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [float(value)] if is_number else None


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _time(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _shown(value: Any, feature: Feature | None) -> str:
    """What a message may show: a personal value is not shown."""
    return kind_of(value) if feature is not None and feature.personal else show(value)
