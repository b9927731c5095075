"""Columns of many records: the same values as record by record, whatever records have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from shared.messaging.record_columns import chained, given_values, repeated, sequences
from shared.spool.record import PredictionRecord

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def record(sequence: int, rows: int, columns: dict[str, Any], **more: Any) -> PredictionRecord:
    ids = [f"p{sequence + row}" for row in range(rows)]
    return PredictionRecord("m", sequence, "v", 1, NOON, NOON, ids, None, columns, **more)


@pytest.mark.parametrize(
    ("values", "counts", "expected"),
    [
        (["a", "a"], [2, 1], ["a", "a", "a"]),
        (["a", "b"], [1, 1], ["a", "b"]),
        (["a", "b", "a"], [1, 3, 2], ["a", "b", "b", "b", "a", "a"]),
        (["a", "b", "c"], [2, 0, 1], ["a", "a", "c"]),
        ([None, None], [1, 1], [None, None]),
    ],
)
def test_value_of_a_record_is_that_of_each_of_its_rows(
    values: list[Any], counts: list[int], expected: list[Any]
) -> None:
    found = repeated(values, counts, pa.string())
    assert found.type == pa.string()
    assert found.to_pylist() == expected


def test_sequences_go_on_within_a_record_and_jump_between_them() -> None:
    found = sequences([record(7, 2, {}), record(9, 1, {}), record(20, 3, {})])
    assert found.to_pylist() == [7, 8, 9, 20, 21, 22]


def test_record_without_values_is_null_in_each_of_its_rows() -> None:
    assert chained([[1, 2], None, [3]], [2, 2, 1]) == [1, 2, None, None, 3]
    assert chained([[1], [2]], [1, 1]) == [1, 2]


@pytest.mark.parametrize(
    "second",
    [
        {"x": [3], "y": [4]},
        {"y": [4], "x": [3]},  # another order
    ],
)
def test_feature_gets_its_own_values_in_any_order(second: dict[str, Any]) -> None:
    found = {
        name: list(given)
        for name, given in given_values([record(0, 1, {"x": [1], "y": [2]}), record(1, 1, second)])
    }
    assert found == {"x": [[1], [3]], "y": [[2], [4]]}


def test_feature_that_a_record_lacks_has_no_values_there() -> None:
    records = [
        record(0, 1, {"x": [1]}),
        record(1, 1, {"x": [2], "y": [3]}),
        record(2, 1, {}, tensors={"z": None}),
    ]
    found = {name: list(given) for name, given in given_values(records)}
    assert found == {"x": [[1], [2], None], "y": [None, [3], None], "z": [None, None, None]}
