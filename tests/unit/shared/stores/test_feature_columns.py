"""One column of the feature's type, from the columns that store it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import FEATURE_TYPES, TIMESTAMP
from shared.stores.feature_columns import as_one_feature, feature_columns, has_other_type, read_feature

EXTRA: dict[str, dict[str, Any]] = {"category": {"values": ["a"]}, "tensor": {"shape": [2]}}
NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
# One row per type, in the order of the columns.
ROWS = pa.table(
    {
        "f_ages": pa.array([9, 9, 9, 9, 9, 9]),
        "f_Age": pa.array([20, None, None, None, None, None]),
        "f_age$number": pa.array([None, 20.5, 21.0, None, None, None]),
        "f_age$boolean": pa.array([None, None, None, True, None, None]),
        "f_age$text": pa.array([None, None, None, None, "old", None]),
        "f_age$timestamp": pa.array([None, None, None, None, None, NOON], TIMESTAMP),
    }
)


def feature(kind: str) -> Feature:
    return Feature.model_validate({"name": "age", "type": kind, **EXTRA.get(kind, {})})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [20, None, 21, None, None, None]),
        ("number", [20.0, 20.5, 21.0, None, None, None]),
        ("boolean", [None, None, None, True, None, None]),
        ("category", [None, None, None, None, "old", None]),
        ("text", [None, None, None, None, "old", None]),
        ("timestamp", [None, None, None, None, None, NOON]),
        ("tensor", [None] * 6),
    ],
)
def test_a_type_reads_the_columns_that_hold_it(kind: str, values: list[object]) -> None:
    columns = feature_columns(ROWS.schema, feature(kind))
    assert columns.name == "f_age"
    found = read_feature(ROWS, columns)
    assert found.to_pylist() == values
    assert found.type == FEATURE_TYPES[kind]
    assert has_other_type(ROWS, columns).to_pylist() == [value is None for value in values]


def test_a_feature_without_values_has_no_type_and_no_other_type() -> None:
    columns = feature_columns(pa.schema([("f_ages", pa.int64())]), feature("number"))
    assert read_feature(ROWS, columns).to_pylist() == [None] * 6
    assert not any(has_other_type(ROWS, columns).to_pylist())


def test_a_single_column_is_returned_as_it_is() -> None:
    rows = pa.table({"f_age": pa.array([1.0, None], pa.float32())})
    assert read_feature(rows, feature_columns(rows.schema, feature("number"))).type == pa.float32()


def test_numbers_that_are_no_integers_are_missing() -> None:
    rows = pa.table({"f_age": [1.0, 1.5, float("nan"), float("inf"), 2.0**60, -3.0]})
    found = read_feature(rows, feature_columns(rows.schema, feature("integer")))
    assert found.to_pylist() == [1, None, None, None, None, -3]


def test_a_row_has_one_entry_per_feature() -> None:
    row = {"score": 0.5, "f_age": None, "f_age$number": 20.5, "f_size": None}
    assert as_one_feature(row) == {"score": 0.5, "f_age": 20.5, "f_size": None}
    assert as_one_feature({"f_age": 0, "f_age$number": None}) == {"f_age": 0}
