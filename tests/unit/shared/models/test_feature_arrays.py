"""Rows as arrays, one per feature."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.errors import UnservableModel
from shared.models.contract import input_type
from shared.models.feature_arrays import to_arrays


def feature(kind: str, **more: Any) -> Feature:
    extra: dict[str, dict[str, Any]] = {"category": {"values": ["red"]}, "tensor": {"shape": [2, 2]}}
    return Feature.model_validate({"name": "f", "type": kind, **extra.get(kind, {}), **more})


@pytest.mark.parametrize(
    ("kind", "column", "expected"),
    [
        ("number", pa.array([1, None]), np.array([1, np.nan], np.float32)),
        ("integer", pa.array([1.0, 2.0]), np.array([1, 2], np.int64)),
        ("boolean", pa.array([True, False]), np.array([True, False])),
        ("category", pa.array(["red", None]), np.array(["red", ""], object)),
        ("text", pa.array(["red wine", None]), np.array(["red wine", ""], object)),
        ("tensor", pa.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[[1, 2], [3, 4]]], np.float32)),
        ("tensor", pa.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[[1, 2], [3, 4]]], np.float32)),
    ],
)
def test_column_becomes_input(kind: str, column: pa.Array, expected: Any) -> None:
    made = to_arrays([feature(kind)], pa.table({"f": column}))["f"]
    assert made.dtype == expected.dtype
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("number", pa.array(["x"])),
        ("integer", pa.array([1.5])),
        ("integer", pa.array([1, None])),
        ("boolean", pa.array([True, None])),
        ("boolean", pa.array(["yes, maybe"])),
        ("timestamp", pa.array([1.5])),
        ("timestamp", pa.array([datetime(2026, 1, 1, tzinfo=UTC), None])),
        ("tensor", pa.array([[1.0, 2.0, 3.0]])),
        ("tensor", pa.array([[[1.0, 2.0, 3.0, 4.0]]])),
        ("tensor", pa.array([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0, 3.0], [4.0]]])),
        ("tensor", pa.array([[1.0, 2.0, 3.0, None]])),
        ("tensor", pa.array([1.0])),
        ("tensor", pa.array([["a", "b", "c", "d"]])),
        ("tensor", pa.array([[1.0, 2.0, 3.0, 4.0], None])),
    ],
)
def test_unreadable_column_is_named(kind: str, column: pa.Array) -> None:
    with pytest.raises(UnservableModel, match=f"column f of the rows cannot be read as {kind}"):
        to_arrays([feature(kind)], pa.table({"f": column}))


def test_nullable_integer_is_a_float_input() -> None:
    nullable = feature("integer", nullable=True)
    made = to_arrays([nullable], pa.table({"f": pa.array([2**24, None])}))["f"]
    np.testing.assert_array_equal(made, np.array([2**24, np.nan], np.float32))
    assert input_type(nullable) == "tensor(float)"
    with pytest.raises(UnservableModel, match="16777217 is beyond 16777216"):
        to_arrays([nullable], pa.table({"f": pa.array([1, 2**24 + 1])}))


def test_integer_of_a_matrix_is_exact_in_float32() -> None:
    integer = feature("integer")
    made = to_arrays([integer], pa.table({"f": pa.array([-(2**24), 3])}), matrix_columns=["f"])["f"]
    np.testing.assert_array_equal(made, np.array([-(2**24), 3], np.float32))
    for column, said in (
        (pa.array([1, 2**24 + 1]), "16777217 is beyond"),
        (pa.array([1, None]), "1 values are missing"),
    ):
        with pytest.raises(UnservableModel, match=said):
            to_arrays([integer], pa.table({"f": column}), matrix_columns=["f"])


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ([[1.0] * 4, [1.0] * 3, [1.0] * 5], "row 1 has a list of 3 values, expected 4"),
        ([[[1.0] * 2] * 2, [[1.0] * 2, [1.0] * 3]], "row 1 has a list of 3 values, expected 2"),
        ([[1.0] * 4, None], "row 1 has missing values"),
        ([[1.0] * 4, [1.0, None, 1.0, 1.0]], "row 1 has missing values"),
        ([[[1.0] * 2] * 2, [[1.0] * 2, None]], "row 1 has missing values"),
    ],
)
def test_first_row_of_another_shape_is_named(column: list[Any], problem: str) -> None:
    with pytest.raises(UnservableModel, match=problem):
        to_arrays([feature("tensor")], pa.table({"f": column}))


def test_tensors_of_several_chunks_are_read() -> None:
    chunks = pa.chunked_array([[[1.0, 2.0, 3.0, 4.0]], [[5.0, 6.0, 7.0, 8.0]]])
    made = to_arrays([feature("tensor")], pa.table({"f": chunks}))["f"]
    assert made.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_timestamp_is_microseconds_since_1970() -> None:
    noon = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
    before = datetime(1960, 1, 1, tzinfo=UTC)
    wanted = np.array([1_772_366_400_000_001, -315_619_200_000_000])
    for unit, exact in (("us", wanted), ("ns", wanted), ("ms", wanted // 1000 * 1000)):
        column = pa.array([noon, before], pa.timestamp("us", "UTC")).cast(
            pa.timestamp(unit, "UTC"), safe=False
        )
        made = to_arrays([feature("timestamp")], pa.table({"f": column}))["f"]
        assert made.dtype == np.int64
        np.testing.assert_array_equal(made, exact)
    assert input_type(feature("timestamp")) == "tensor(int64)"
