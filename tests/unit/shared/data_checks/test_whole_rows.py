"""Whole rows: duplicates, and equal rows with different outcomes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shared.data_checks.whole_rows import row_findings
from tests.unit.shared.data_checks.data_sets import kinds, numbers, parcels, with_column

ROWS = parcels(400)


def test_good_rows_are_silent() -> None:
    assert list(row_findings(ROWS, "outcome")) == []


def test_repeated_rows_are_counted() -> None:
    [found] = row_findings(pa.concat_tables([ROWS, ROWS.slice(0, 40)]), "outcome")
    assert (found.kind, found.severity) == ("duplicate_rows", "warning")
    assert "40 of 440 rows" in found.message
    [few] = row_findings(pa.concat_tables([ROWS, ROWS.slice(0, 1)]), "outcome")
    assert few.severity == "note"


def test_missing_values_are_equal_to_each_other() -> None:
    rows = pa.table({"a": pa.array([None, None, 1.0]), "b": [float("nan"), float("nan"), 2.0]})
    assert "1 of 3 rows" in next(row_findings(rows, "outcome")).message


def test_equal_rows_with_other_outcomes() -> None:
    other = with_column(ROWS, "outcome", 1 - numbers(ROWS, "outcome")).slice(0, 7)
    [found] = row_findings(pa.concat_tables([ROWS, other]), "outcome")
    assert kinds([found]) == [("contradicting_outcomes", "outcome")]
    assert "7 rows" in found.message


def test_outcomes_may_differ_without_a_time() -> None:
    few = pa.table({"a": np.zeros(10), "outcome": np.arange(10) % 2})
    assert kinds(list(row_findings(few, "outcome"))) == [("duplicate_rows", "")]


def test_lists_are_not_compared() -> None:
    assert list(row_findings(pa.table({"a": [[1], [1]]}), "outcome")) == []
