"""Checks rows against the manifest's features and turns them into columns, for the model and for the log.

Pure, and column by column: many rows cost a few passes in C per feature. Python loops over a column only to find the
invalid row. A number outside `minimum`/`maximum` is accepted: it is a data fault for drift to detect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from shared.models.contract import LARGEST_FLOAT_INTEGER

Array = npt.NDArray[Any]

_FLOAT32 = np.dtype(np.float32)
_INT64 = range(-(2**63), 2**63)
_MISSING = object()


@dataclass(slots=True)
class Batch:
    """Checked rows: `feeds` for the model, `columns` for the log (lists; float32 arrays for tensors)."""

    rows: int
    feeds: Mapping[str, Array]
    columns: Mapping[str, Sequence[object] | Array]


class Schema:
    """Checks rows of a version."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self._checks = tuple(_check_of(feature)(feature) for feature in features)
        self._names = frozenset(feature.name for feature in features)

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
        for check in self._checks:
            name = check.feature.name
            try:
                values = [row[name] for row in rows]  # type: ignore[index]
            except KeyError:
                values, gone = _with_gaps(rows, check.feature)
                absent += gone
            feeds[name], columns[name] = check(values, may_hold_booleans)
        if sum(map(len, rows)) + absent != len(rows) * len(self._checks):  # type: ignore[arg-type]
            self._refuse_unknown(rows)
        return Batch(len(rows), feeds, columns)

    def batch_of_tensors(self, tensors: Mapping[str, Array | list[Any]], rows: int) -> Batch:
        """Check one value per row and feature, as arrays or lists of decoded JSON. Raises InvalidRequest."""
        feeds: dict[str, Array] = {}
        columns: dict[str, Sequence[object] | Array] = {}
        for check in self._checks:
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


def _with_gaps(rows: Sequence[Any], feature: Feature) -> tuple[list[object], int]:
    values = [row.get(feature.name, _MISSING) for row in rows]
    if not feature.nullable:
        row = values.index(_MISSING)
        raise _wrong(feature, row, "is missing")
    return [None if value is _MISSING else value for value in values], values.count(_MISSING)


def _wrong(feature: Feature, row: int, problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"feature {feature.name} of row {row} {problem}",
        field=feature.name,
        expected=expected(feature),
        row=row,
    )


def is_finite(array: Array) -> bool:
    """Whether every number is finite."""
    return bool(np.isfinite(array).all())


def expected(feature: Feature) -> str:
    """The expected values of a feature, in words."""
    if feature.takes_any_text:
        words = "a string"
    elif feature.type == "category":
        shown = ", ".join(feature.values[:20]) + (", …" if len(feature.values) > 20 else "")
        words = f"one of {shown}"
    elif feature.type == "tensor":
        words = f"nested lists of finite numbers of shape {list(feature.shape)}"
    else:
        words = {
            "number": "a finite number",
            "integer": f"a whole number from -{LARGEST_FLOAT_INTEGER} to {LARGEST_FLOAT_INTEGER}"
            if feature.nullable
            else "a 64-bit integer",
            "boolean": "true or false",
        }[feature.type]
    return f"{words}, or null" if feature.nullable else words


def show(value: object) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


class _Check:
    """Turns a column of decoded JSON into a model input and a log column."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        raise NotImplementedError

    def array(self, values: Array) -> tuple[Array, Sequence[object] | Array]:
        """The same for an array; NaN is a missing value."""
        listed: list[Any] = values.tolist()
        if self.feature.nullable and values.dtype.kind == "f":
            listed = [None if value != value else value for value in listed]
        return self(listed)


class _Number(_Check):
    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._types = frozenset({float, int, type(None)} if feature.nullable else {float, int})

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        kinds = set(map(type, values))
        if not kinds <= self._types:
            row = next(index for index, value in enumerate(values) if type(value) not in self._types)
            raise _wrong(
                self.feature, row, "is missing" if values[row] is None else f"is {show(values[row])}"
            )
        if int in kinds:
            values = [float(value) if type(value) is int else value for value in values]
        array = np.array(values, _FLOAT32)  # numpy reads None as NaN
        if type(None) in kinds:
            finite = np.isfinite(array) | np.array([value is None for value in values])
        elif is_finite(array):
            return array, values
        else:
            finite = np.isfinite(array)
        if not finite.all():
            row = int(np.argmin(finite))
            raise _wrong(self.feature, row, f"is {show(values[row])}, which does not fit into float32")
        return array, values


class _Integer(_Check):
    """Whole numbers; `3.0` is one, since many clients write every number as a float."""

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if set(map(type, values)) != {int}:
            values = self._whole(values)
        try:
            return np.array(values, np.int64), values
        except OverflowError:
            row = next(index for index, value in enumerate(values) if value not in _INT64)
            raise _wrong(self.feature, row, f"is {show(values[row])}") from None

    def _whole(self, values: list[Any]) -> list[Any]:
        found = list(values)
        for row, value in enumerate(values):
            if type(value) is float and value.is_integer():
                found[row] = int(value)
            elif type(value) is not int and not (value is None and self.feature.nullable):
                raise _wrong(self.feature, row, "is missing" if value is None else f"is {show(value)}")
        return found


class _NullableInteger(_Integer):
    """Whole numbers that may be missing: float32 for the model, integers for the log."""

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if not set(map(type, values)) <= {int, type(None)}:
            values = self._whole(values)
        try:
            array = np.array(values, np.float64)  # numpy reads None as NaN
            large = np.abs(array) > LARGEST_FLOAT_INTEGER
        except OverflowError:
            large = np.array([value is not None and abs(value) > LARGEST_FLOAT_INTEGER for value in values])
        if large.any():
            row = int(np.argmax(large))
            raise _wrong(self.feature, row, f"is {show(values[row])}")
        return array.astype(_FLOAT32), values


class _Boolean(_Check):
    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if set(map(type, values)) != {bool}:
            row = next(index for index, value in enumerate(values) if type(value) is not bool)
            raise _wrong(
                self.feature, row, "is missing" if values[row] is None else f"is {show(values[row])}"
            )
        return np.array(values, np.bool_), values


class _Category(_Check):
    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._allowed = frozenset((*feature.values, None)) if feature.nullable else frozenset(feature.values)

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        try:
            known = self._allowed.issuperset(values)
        except TypeError:  # a list or an object is not hashable
            known = False
        if not known:
            row = next(index for index, value in enumerate(values) if not self._is_allowed(value))
            raise _wrong(
                self.feature, row, "is missing" if values[row] is None else f"is {show(values[row])}"
            )
        array = np.empty(len(values), object)
        array[:] = ["" if value is None else value for value in values] if self.feature.nullable else values
        return array, values

    def _is_allowed(self, value: object) -> bool:
        return (value is None or isinstance(value, str)) and value in self._allowed


class _Text(_Check):
    """Any string: a text, or a category whose unknown values are served."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._types = frozenset({str, type(None)} if feature.nullable else {str})

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if not set(map(type, values)) <= self._types:
            row = next(index for index, value in enumerate(values) if type(value) not in self._types)
            raise _wrong(
                self.feature, row, "is missing" if values[row] is None else f"is {show(values[row])}"
            )
        array = np.empty(len(values), object)
        array[:] = ["" if value is None else value for value in values] if self.feature.nullable else values
        return array, values


class _Tensor(_Check):
    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        shape = (len(values), *self.feature.shape)
        try:
            array = np.array(values)
            fits = (
                array.dtype.kind in "if"
                and array.shape == shape
                and not (may_hold_booleans and _holds_boolean(values))
            )
        except (ValueError, OverflowError):  # ragged lists
            fits = False
        if fits:
            return self.array(array)
        if len(values) == 1:
            raise _wrong(self.feature, 0, _shape_problem(values[0]))
        for row, value in enumerate(values):
            try:
                self([value])
            except InvalidRequest:
                raise _wrong(self.feature, row, _shape_problem(value)) from None
        raise _wrong(self.feature, 0, "has a wrong shape")

    def array(self, values: Array) -> tuple[Array, Sequence[object] | Array]:
        array = np.ascontiguousarray(values, _FLOAT32)
        if not is_finite(array):
            row = int(np.argmin(np.isfinite(array.reshape(len(values), -1)).all(axis=1)))
            raise _wrong(self.feature, row, "contains a number that does not fit into float32")
        return array, array


def _holds_boolean(values: list[Any]) -> bool:
    """Whether there is a boolean, which numpy would read as a number."""
    while values and type(values[0]) is list:
        values = [item for value in values for item in value]
    return bool in set(map(type, values))


def _shape_problem(value: object) -> str:
    if value is None:
        return "is missing"
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return "has lists of unequal length, or values that are not numbers"
    return (
        f"has shape {list(array.shape)}"
        if array.dtype.kind in "if"
        else "contains values that are not numbers"
    )


_CHECKS: dict[str, type[_Check]] = {
    "number": _Number,
    "integer": _Integer,
    "boolean": _Boolean,
    "category": _Category,
    "text": _Text,
    "tensor": _Tensor,
}


def _check_of(feature: Feature) -> type[_Check]:
    if feature.takes_any_text:
        return _Text
    if feature.type == "integer" and feature.nullable:
        return _NullableInteger
    return _CHECKS[feature.type]
