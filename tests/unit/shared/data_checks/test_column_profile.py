"""Profiles of columns of every kind."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from shared.data_checks.column_profile import ColumnProfile, profile_column


def profile(values: list[object], kind: pa.DataType | None = None) -> ColumnProfile:
    return profile_column("x", pa.chunked_array([pa.array(values, kind)]))


def test_numbers_have_a_range_of_their_finite_values() -> None:
    found = profile([1.0, 2.0, 3.0, math.nan, None, math.inf])
    assert (found.kind, found.rows, found.missing, found.infinite, found.distinct) == ("number", 6, 2, 1, 4)
    assert (found.minimum, found.median, found.maximum, found.mean) == (1.0, 2.0, 3.0, 2.0)


def test_very_large_numbers_have_no_infinite_mean() -> None:
    found = profile([1e308, 1e308, 1e308])
    assert found.maximum == 1e308
    assert found.mean is None


def test_texts_have_frequent_values() -> None:
    found = profile(["a", "b", "a", None, "a"])
    assert (found.kind, found.missing, found.distinct) == ("text", 1, 2)
    assert found.frequent == (("a", 0.75), ("b", 0.25))


def test_long_values_are_cut() -> None:
    assert profile(["x" * 1000]).frequent[0][0] == "x" * 39 + "…"


def test_times_have_a_first_and_a_last() -> None:
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    found = profile([last, None, first], pa.timestamp("us", "UTC"))
    assert (found.kind, found.first, found.last, found.distinct) == ("time", str(first), str(last), 2)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([True, False, None], None, "boolean"),
        (["a", None], pa.dictionary(pa.int32(), pa.string()), "text"),
        ([[1.0], None], None, "other"),
        ([None, None], None, "other"),
    ],
)
def test_other_kinds(values: list[object], kind: pa.DataType | None, expected: str) -> None:
    found = profile(values, kind)
    assert found.kind == expected
    assert found.missing == sum(value is None for value in values)


def test_empty_column_has_no_numbers() -> None:
    found = profile([None, None], pa.float64())
    assert (found.present, found.minimum, found.frequent) == (0, None, ())
