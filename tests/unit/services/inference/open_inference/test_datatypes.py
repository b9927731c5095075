from __future__ import annotations

from typing import Any

import pytest

from services.inference.open_inference.datatypes import check_values
from services.inference.open_inference.tensors import InferInput
from shared.errors import InvalidRequest

LIMITS = {
    "INT8": (-128, 127),
    "INT16": (-(2**15), 2**15 - 1),
    "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
    "UINT8": (0, 255),
    "UINT16": (0, 2**16 - 1),
    "UINT32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1),
}


def check(datatype: str, *values: Any, width: int = 1) -> None:
    shape = (len(values) // width, width)
    check_values(InferInput("x", datatype, shape, list(values)), may_hold_booleans=True)


@pytest.mark.parametrize(("datatype", "limits"), LIMITS.items())
def test_integers_stay_within_their_datatype(datatype: str, limits: tuple[int, int]) -> None:
    low, high = limits
    check(datatype, low, None, high)
    for value in (low - 1, high + 1, 1.5, 1.0, True):
        with pytest.raises(InvalidRequest, match=f"which is not a {datatype}") as caught:
            check(datatype, low, None, value)
        assert (caught.value.status, caught.value.field, caught.value.row) == (422, "x", 2)


@pytest.mark.parametrize(
    ("datatype", "most", "too_much"),
    [
        ("FP16", 65519.9, 65520),
        ("BF16", 3.3961e38, 3.3962e38),
        ("FP32", 3.4028235e38, 3.4028236e38),
        ("FP32", 0, 2**128),
    ],
)
def test_floats_stay_within_their_datatype(datatype: str, most: float, too_much: float) -> None:
    check(datatype, most, -most, None)
    for value in (too_much, -too_much):
        with pytest.raises(InvalidRequest, match=f"which is not a {datatype}"):
            check(datatype, most, value)


def test_row_counts_rows_of_tensors() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check("FP16", 1, 2, 3, 4, 5, 1e6, width=2)
    assert caught.value.row == 2


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("FP64", [1e300]),
        ("BOOL", [True, False]),
        ("BYTES", ["a"]),
        ("INT8", [None]),
        ("INT8", ["a"]),
        ("FP32", [{}]),
    ],
)
def test_other_values_are_left_to_the_feature(datatype: str, values: list[Any]) -> None:
    check(datatype, *values)
