"""Checks the values of one feature of each type, and turns them into a model input and a column of the log. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.contracts.event_time import TIME_FORM, parse_time, to_micros
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from shared.models.feature_arrays import MAX_FLOAT_INTEGER
from shared.models.nullable_booleans import is_flag
from shared.personal_data.protection import Pseudonymise, protected_values
from shared.validation_text import show

Array = npt.NDArray[Any]

_FLOAT32 = np.dtype(np.float32)
_INT64 = range(-(2**63), 2**63)


def is_finite(array: Array) -> bool:
    """Whether every number is finite."""
    return bool(np.isfinite(array).all())


class ColumnCheck:
    """Turns a column of decoded JSON into a model input and a log column."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        raise NotImplementedError

    @property
    def words(self) -> str:
        """The values that are not missing, in words."""
        raise NotImplementedError

    def wrong(self, row: int, problem: str) -> InvalidRequest:
        """The error for the value of a row."""
        name = self.feature.name
        return InvalidRequest(
            f"feature {name} of row {row} {problem}",
            field=name,
            expected=f"{self.words}, or null" if self.feature.nullable else self.words,
            row=row,
        )

    def wrong_value(self, row: int, value: object) -> InvalidRequest:
        """The error for a value that is missing, or is not one of this feature."""
        return self.wrong(row, "is missing" if value is None else f"is {self.shown(value)}")

    def shown(self, value: object) -> str:
        """A value for a message; one of a personal feature is not shown."""
        return "not valid" if self.feature.personal else show(value)

    def array(self, values: Array) -> tuple[Array, Sequence[object] | Array]:
        """The same for an array; NaN is a missing value."""
        listed: list[Any] = values.tolist()
        if self.feature.nullable and values.dtype.kind == "f":
            listed = [None if value != value else value for value in listed]
        return self(listed)


class NumberCheck(ColumnCheck):
    """Finite numbers."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._types = frozenset({float, int, type(None)} if feature.nullable else {float, int})

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        kinds = set(map(type, values))
        if not kinds <= self._types:
            row = next(index for index, value in enumerate(values) if type(value) not in self._types)
            raise self.wrong_value(row, values[row])
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
            raise self.wrong(row, f"is {self.shown(values[row])}, which does not fit into float32")
        return array, values

    @property
    def words(self) -> str:
        return "a finite number"


class IntegerCheck(ColumnCheck):
    """Whole numbers; `3.0` is one, since many clients write every number as a float. From 0 to 1 also true and false."""

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if set(map(type, values)) != {int}:
            values = self._whole(values)
        try:
            return np.array(values, np.int64), values
        except OverflowError:
            row = next(index for index, value in enumerate(values) if value not in _INT64)
            raise self.wrong_value(row, values[row]) from None

    def _whole(self, values: list[Any]) -> list[Any]:
        found = list(values)
        is_flag = self._is_flag
        for row, value in enumerate(values):
            if (type(value) is float and value.is_integer()) or (is_flag and type(value) is bool):
                found[row] = int(value)
            elif type(value) is not int and not (value is None and self.feature.nullable):
                raise self.wrong_value(row, value)
        return found

    @property
    def _is_flag(self) -> bool:
        return is_flag(self.feature.type, self.feature.minimum, self.feature.maximum)

    @property
    def words(self) -> str:
        return f"a 64-bit integer{', true or false' if self._is_flag else ''}"


class FloatIntegerCheck(IntegerCheck):
    """Whole numbers that are float32 in the model, since they may be missing or are in a matrix; integers for the log."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._types = frozenset({int, type(None)} if feature.nullable else {int})

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if not set(map(type, values)) <= self._types:
            values = self._whole(values)
        try:
            array = np.array(values, np.float64)  # numpy reads None as NaN
            large = np.abs(array) > MAX_FLOAT_INTEGER
        except OverflowError:
            large = np.array([value is not None and abs(value) > MAX_FLOAT_INTEGER for value in values])
        if large.any():
            row = int(np.argmax(large))
            raise self.wrong_value(row, values[row])
        return array.astype(_FLOAT32), values

    @property
    def words(self) -> str:
        flag = ", true or false" if self._is_flag else ""
        return f"a whole number from -{MAX_FLOAT_INTEGER} to {MAX_FLOAT_INTEGER}{flag}"


class BooleanCheck(ColumnCheck):
    """True or false."""

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if set(map(type, values)) != {bool}:
            row = next(index for index, value in enumerate(values) if type(value) is not bool)
            raise self.wrong_value(row, values[row])
        return np.array(values, np.bool_), values

    @property
    def words(self) -> str:
        return "true or false"


class CategoryCheck(ColumnCheck):
    """Strings of a list."""

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
            raise self.wrong_value(row, values[row])
        array = np.empty(len(values), object)
        array[:] = ["" if value is None else value for value in values] if self.feature.nullable else values
        return array, values

    def _is_allowed(self, value: object) -> bool:
        return (value is None or isinstance(value, str)) and value in self._allowed

    @property
    def words(self) -> str:
        known = self.feature.values
        return f"one of {', '.join(known[:20])}" + (", …" if len(known) > 20 else "")


class TextCheck(ColumnCheck):
    """Any string: a text, or a category whose unknown values are served."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._types = frozenset({str, type(None)} if feature.nullable else {str})

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        if not set(map(type, values)) <= self._types:
            row = next(index for index, value in enumerate(values) if type(value) not in self._types)
            raise self.wrong_value(row, values[row])
        array = np.empty(len(values), object)
        array[:] = ["" if value is None else value for value in values] if self.feature.nullable else values
        return array, values

    @property
    def words(self) -> str:
        return "a string"


class TimestampCheck(ColumnCheck):
    """Times in ISO 8601 with an offset: microseconds since 1970 for the model, times for the log."""

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        micros = np.empty(len(values), np.int64)
        for row, value in enumerate(values):
            if type(value) is not str:
                raise self.wrong_value(row, value)
            try:
                micros[row] = to_micros(parse_time(value, field=self.feature.name, row=row))
            except InvalidRequest:
                if not self.feature.personal:
                    raise
                raise self.wrong_value(row, value) from None
        return micros, micros.view("datetime64[us]")

    @property
    def words(self) -> str:
        return TIME_FORM


class ProtectedCheck(ColumnCheck):
    """A personal feature: the log, and with pseudonyms the model too, receives what may be stored of its values."""

    def __init__(self, check: ColumnCheck, pseudonymise: Pseudonymise) -> None:
        super().__init__(check.feature)
        self._check = check
        self._pseudonymise = pseudonymise

    def __call__(
        self, values: list[Any], may_hold_booleans: bool = True
    ) -> tuple[Array, Sequence[object] | Array]:
        feeds, column = self._check(values, may_hold_booleans)
        column = protected_values(self.feature, list(column), self._pseudonymise)
        return (feeds if self.feature.is_unlogged else self._check(column)[0]), column

    @property
    def words(self) -> str:
        return self._check.words
