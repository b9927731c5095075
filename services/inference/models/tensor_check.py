"""Checks the values of a tensor. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.inference.models.column_checks import Array, ColumnCheck, is_finite
from shared.errors import InvalidRequest


class TensorCheck(ColumnCheck):
    """Nested lists of numbers, all of one shape."""

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
            raise self.wrong(0, _shape_problem(values[0]))
        for row, value in enumerate(values):
            try:
                self([value])
            except InvalidRequest:
                raise self.wrong(row, _shape_problem(value)) from None
        raise self.wrong(0, "has a wrong shape")

    def array(self, values: Array) -> tuple[Array, Sequence[object] | Array]:
        array = np.ascontiguousarray(values, np.float32)
        if not is_finite(array):
            row = int(np.argmin(np.isfinite(array.reshape(len(values), -1)).all(axis=1)))
            raise self.wrong(row, "contains a number that does not fit into float32")
        return array, array

    @property
    def words(self) -> str:
        return f"nested lists of finite numbers of shape {list(self.feature.shape)}"


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
