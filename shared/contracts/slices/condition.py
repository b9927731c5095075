"""A condition over features: its parts, and the rows of a table for which it is true.

A comparison with a missing value is neither true nor false, and `and`, `or` and `not` keep to that, as in SQL (Kleene's
three-valued logic). A row belongs to a slice only if its condition is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Booleans = npt.NDArray[np.bool_]
Comparison = Literal["<", "<=", ">", ">=", "==", "!="]
Value = float | int | str | bool

_COMPARE = {
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
    "==": pc.equal,
    "!=": pc.not_equal,
}


@dataclass(frozen=True)
class Operand:
    """A feature (`type` is the one in loop.yaml), or a constant."""

    value: Value
    type: str
    is_feature: bool = False


@dataclass(frozen=True)
class Compare:
    """`left` and `right` compared; at least one is a feature, and their types fit."""

    left: Operand
    comparison: Comparison
    right: Operand


@dataclass(frozen=True)
class IsIn:
    """The feature has one of the values."""

    feature: Operand
    values: tuple[Value, ...]


@dataclass(frozen=True)
class IsMissing:
    """The feature has no value."""

    feature: Operand


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: Condition


@dataclass(frozen=True)
class Both:
    """Both parts."""

    left: Condition
    right: Condition


@dataclass(frozen=True)
class Either:
    """At least one of the parts."""

    left: Condition
    right: Condition


Condition = Compare | IsIn | IsMissing | Not | Both | Either


def is_true(condition: Condition, table: pa.Table, prefix: str = "") -> Booleans:
    """For each row of the table whether the condition is true. A feature without a column is missing in every row.

    `prefix`: what the table's column names have before the feature's name.

    >>> table = pa.table({"delay": [1.0, None, 3.0]})
    >>> late = Compare(Operand("delay", "number", True), ">", Operand(2, "number"))
    >>> is_true(late, table).tolist(), is_true(Not(late), table).tolist()
    ([False, False, True], [True, False, False])
    """
    known = _known(condition, table, prefix)
    filled = pc.fill_null(known, False)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)


def features_of(condition: Condition) -> frozenset[str]:
    """The features that a condition reads."""
    if isinstance(condition, Both | Either):
        return features_of(condition.left) | features_of(condition.right)
    if isinstance(condition, Not):
        return features_of(condition.part)
    sides = (condition.left, condition.right) if isinstance(condition, Compare) else (condition.feature,)
    return frozenset(str(side.value) for side in sides if side.is_feature)


def _known(condition: Condition, table: pa.Table, prefix: str) -> pa.Array:
    if isinstance(condition, Both):
        return pc.and_kleene(_known(condition.left, table, prefix), _known(condition.right, table, prefix))
    if isinstance(condition, Either):
        return pc.or_kleene(_known(condition.left, table, prefix), _known(condition.right, table, prefix))
    if isinstance(condition, Not):
        return pc.invert(_known(condition.part, table, prefix))
    if isinstance(condition, IsMissing):
        return pc.is_null(_column(condition.feature, table, prefix))
    if isinstance(condition, IsIn):
        column = _column(condition.feature, table, prefix)
        values = pa.array([_as_compared(value, condition.feature.type) for value in condition.values])
        found = pc.is_in(column, value_set=values.cast(column.type))
        return pc.if_else(pc.is_null(column), pa.scalar(None, pa.bool_()), found)
    left, right = condition.left, condition.right
    return _COMPARE[condition.comparison](
        _side(left, right, table, prefix), _side(right, left, table, prefix)
    )


def _side(side: Operand, other: Operand, table: pa.Table, prefix: str) -> pa.Array | pa.Scalar:
    if side.is_feature:
        column = _column(side, table, prefix)
        mixed = side.type == "integer" and other.type == "number"
        return pc.cast(column, pa.float64(), safe=False) if mixed else column
    return pa.scalar(_as_compared(side.value, other.type))


def _as_compared(value: Value, kind: str) -> Value:
    """A constant in the precision of the feature it is compared with."""
    return float(np.float32(value)) if kind == "number" else value


def _column(feature: Operand, table: pa.Table, prefix: str) -> pa.Array:
    name = prefix + str(feature.value)
    kinds = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_()}
    kind = kinds.get(feature.type, pa.string())
    if name not in table.column_names:
        return pa.nulls(len(table), kind)
    column = table[name].combine_chunks()
    if feature.type == "number":
        # As the model sees it: a condition x > 0.1 is false where a row says 0.1.
        column = pc.cast(pc.cast(column, pa.float32(), safe=False), kind)
        return pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
    return pc.cast(column, kind, safe=False)
