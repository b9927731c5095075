"""Inputs from rows, and the row of a bad output; tests/conformance/test_model_contract.py has the signatures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.errors import UnservableModel
from shared.models.contract import check_finite, check_probabilities, check_rows, input_type, to_inputs


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
    made = to_inputs([feature(kind)], pa.table({"f": column}))["f"]
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
        to_inputs([feature(kind)], pa.table({"f": column}))


def test_nullable_integer_is_a_float_input() -> None:
    nullable = feature("integer", nullable=True)
    made = to_inputs([nullable], pa.table({"f": pa.array([2**24, None])}))["f"]
    np.testing.assert_array_equal(made, np.array([2**24, np.nan], np.float32))
    assert input_type(nullable) == "tensor(float)"
    with pytest.raises(UnservableModel, match="16777217 is beyond 16777216"):
        to_inputs([nullable], pa.table({"f": pa.array([1, 2**24 + 1])}))


def test_first_row_that_is_not_finite() -> None:
    with pytest.raises(UnservableModel, match="not finite for row 12"):
        check_finite(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, np.inf]]), first_row=10)


def test_scores_are_flat_and_tensors_keep_their_shape() -> None:
    assert check_rows(np.zeros((3, 1)), 3, scores=True).shape == (3,)
    assert check_rows(np.zeros((3, 2)), 3, scores=False).shape == (3, 2)


def test_every_class_has_a_probability() -> None:
    assert check_rows(np.zeros((3, 2)), 3, scores=False, classes=2).shape == (3, 2)
    with pytest.raises(UnservableModel, match=r"returned shape \[3, 1\] for 3 rows") as raised:
        check_rows(np.zeros((3, 1)), 3, scores=False, classes=2)
    assert raised.value.hint == "return one row of 2 probabilities per row"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([2.0, -1.0], "the probabilities of row 11 sum to 1, the smallest is -1"),
        ([1.5, 1.5], "the probabilities of row 11 sum to 3, the smallest is 1.5"),
        ([0.5, 0.497], "the probabilities of row 11 sum to 0.997, the smallest is 0.497"),
    ],
)
def test_first_row_that_is_no_distribution_is_named(row: list[float], said: str) -> None:
    with pytest.raises(UnservableModel) as raised:
        check_probabilities(np.array([[0.25, 0.75], row, [9.0, 9.0]], np.float32), first_row=10)
    assert raised.value.message == said
    assert (
        raised.value.hint
        == "end the model with a softmax over the classes (axis 1), so that each row sums to 1"
    )


def test_rounding_of_a_softmax_is_tolerated() -> None:
    check_probabilities(np.array([[0.5, 0.501]], np.float32))


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ([[1.0] * 4, [1.0] * 3, [1.0] * 5], "row 1 has a list of 3 values, expected 4"),
        ([[[1.0] * 2] * 2, [[1.0] * 2, [1.0] * 3]], "row 1 has a list of 3 values, expected 2"),
        ([[1.0] * 4, None], "row 1 has missing values"),
        ([[1.0] * 4, [1.0, None, 1.0, 1.0]], "row 1 has missing values"),
        ([[[1.0] * 2] * 2, [[1.0] * 2, None]], "row 1 has missing values"),
    ],
)
def test_first_row_of_another_shape_is_named(column: list[Any], told: str) -> None:
    with pytest.raises(UnservableModel, match=told):
        to_inputs([feature("tensor")], pa.table({"f": column}))


def test_tensors_of_several_chunks_are_read() -> None:
    chunks = pa.chunked_array([[[1.0, 2.0, 3.0, 4.0]], [[5.0, 6.0, 7.0, 8.0]]])
    made = to_inputs([feature("tensor")], pa.table({"f": chunks}))["f"]
    assert made.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
