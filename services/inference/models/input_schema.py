"""Checks rows against the manifest's features and turns them into columns, for the model and for the log.

Pure, and column by column: many rows cost a few passes in C per feature. Python loops over a column only to find the
invalid row. A number outside `minimum`/`maximum` is accepted: it is a data fault for drift to detect.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.inference.models.column_checks import (
    Array,
    BooleanCheck,
    CategoryCheck,
    ColumnCheck,
    FloatIntegerCheck,
    IntegerCheck,
    NumberCheck,
    ProtectedCheck,
    TextCheck,
    TimestampCheck,
)
from services.inference.models.tensor_check import TensorCheck
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from shared.personal_data.protection import Pseudonymise

_MISSING = object()
_NUMBER_BYTES = 4
_CHECKS: dict[str, type[ColumnCheck]] = {
    "number": NumberCheck,
    "integer": IntegerCheck,
    "boolean": BooleanCheck,
    "category": CategoryCheck,
    "text": TextCheck,
    "timestamp": TimestampCheck,
    "tensor": TensorCheck,
}


@dataclass(slots=True)
class Batch:
    """Checked rows: `feeds` for the model, `columns` for the log (lists; float32 arrays for tensors)."""

    rows: int
    feeds: Mapping[str, Array]
    columns: Mapping[str, Sequence[object] | Array]

    @classmethod
    def concatenate(cls, batches: Sequence[Batch]) -> Batch:
        """The rows of several batches of one version, in order."""
        if len(batches) == 1:
            return batches[0]
        first = batches[0]
        feeds = {name: np.concatenate([one.feeds[name] for one in batches]) for name in first.feeds}
        columns: dict[str, Sequence[object] | Array] = {}
        for name, values in first.columns.items():
            if values is first.feeds[name] and all(one.columns[name] is one.feeds[name] for one in batches):
                columns[name] = feeds[name]
            elif all(isinstance(one.columns[name], np.ndarray) for one in batches):
                columns[name] = np.concatenate([one.columns[name] for one in batches])
            else:
                columns[name] = [value for one in batches for value in one.columns[name]]
        return cls(sum(one.rows for one in batches), feeds, columns)

    def part(self, start: int, end: int) -> Batch:
        """Rows `start` to `end`, without the last."""
        if start == 0 and end == self.rows:
            return self
        return Batch(
            end - start,
            {name: values[start:end] for name, values in self.feeds.items()},
            {name: values[start:end] for name, values in self.columns.items()},
        )


class Schema:
    """Checks rows of a version. `matrix_columns`: the features that reach the model as float32 in its matrix.

    `pseudonymise`: needed for a feature with `personal: pseudonym`; without it ValueError is raised.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        *,
        matrix_columns: Collection[str] = (),
        pseudonymise: Pseudonymise | None = None,
    ) -> None:
        self.features = tuple(features)
        self.checks = tuple(
            protecting(check_of(one, as_float=one.name in matrix_columns), pseudonymise) for one in features
        )
        self._names = frozenset(feature.name for feature in features)
        self.has_tensors = any(feature.type == "tensor" for feature in features)
        self.row_bytes = sum(_NUMBER_BYTES * math.prod(feature.shape) for feature in features)

    def batch(self, rows: Sequence[object], *, may_hold_booleans: bool = True) -> Batch:
        """Check `rows` (decoded JSON). Raises InvalidRequest, naming the field, the row and what was expected.

        `may_hold_booleans`: False if the text contains neither true nor false, which skips a search.
        """
        if not rows:
            raise InvalidRequest("`rows` is empty", field="rows", expected="at least one row", status=400)
        if set(map(type, rows)) != {dict}:
            row = next(index for index, item in enumerate(rows) if type(item) is not dict)
            raise InvalidRequest(
                f"row {row} is not an object",
                field="rows",
                expected="an object of feature names and values",
                row=row,
                status=400,
            )
        feeds: dict[str, Array] = {}
        columns: dict[str, Sequence[object] | Array] = {}
        absent = 0
        for check in self.checks:
            name = check.feature.name
            try:
                values = [row[name] for row in rows]  # type: ignore[index]
            except KeyError:
                values, gone = _with_gaps(rows, check)
                absent += gone
            feeds[name], columns[name] = check(values, may_hold_booleans)
        if sum(map(len, rows)) + absent != len(rows) * len(self.checks):  # type: ignore[arg-type]
            self._refuse_unknown(rows)
        return Batch(len(rows), feeds, columns)

    def batch_of_tensors(self, tensors: Mapping[str, Array | list[Any]], rows: int) -> Batch:
        """Check one value per row and feature, as arrays or lists of decoded JSON. Raises InvalidRequest."""
        feeds: dict[str, Array] = {}
        columns: dict[str, Sequence[object] | Array] = {}
        for check in self.checks:
            name = check.feature.name
            values = tensors[name]
            feeds[name], columns[name] = (
                check.array(values) if isinstance(values, np.ndarray) else check(values)
            )
        return Batch(rows, feeds, columns)

    def _refuse_unknown(self, rows: Sequence[Any]) -> None:
        for index, row in enumerate(rows):
            for name in row:
                if name not in self._names:
                    raise InvalidRequest(
                        f"unknown feature {name[:80]!r} in row {index}",
                        field=name[:80],
                        expected=f"only {', '.join(sorted(self._names))}",
                        row=index,
                    )


def _with_gaps(rows: Sequence[Any], check: ColumnCheck) -> tuple[list[object], int]:
    values = [row.get(check.feature.name, _MISSING) for row in rows]
    if not check.feature.nullable:
        raise check.wrong(values.index(_MISSING), "is missing")
    return [None if value is _MISSING else value for value in values], values.count(_MISSING)


def check_of(feature: Feature, *, as_float: bool = False) -> ColumnCheck:
    """The check for a feature's column. `as_float`: an integer that is float32 in the model, although it cannot be missing."""
    if feature.takes_any_text:
        return TextCheck(feature)
    if feature.type == "integer" and (feature.nullable or as_float):
        return FloatIntegerCheck(feature)
    return _CHECKS[feature.type](feature)


def protecting(check: ColumnCheck, pseudonymise: Pseudonymise | None) -> ColumnCheck:
    """The check itself, or one that protects the values of a personal feature. Raises ValueError."""
    feature = check.feature
    if not feature.is_protected:
        return check
    if pseudonymise is None:
        if not feature.is_unlogged:
            raise ValueError(f"feature {feature.name} needs pseudonyms, and there is no key for them")
        pseudonymise = str
    return ProtectedCheck(check, pseudonymise)
