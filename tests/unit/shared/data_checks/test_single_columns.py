"""One column alone: each fault is found, and good columns are silent."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from shared.data_checks.column_profile import profile_column
from shared.data_checks.finding import Finding
from shared.data_checks.single_columns import column_findings
from tests.unit.shared.data_checks.data_sets import parcels

RANDOM = np.random.default_rng(3)
NORMAL = RANDOM.normal(20, 5, 400)


def findings(values: object) -> list[Finding]:
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([pa.array(values)])
    return list(column_findings(profile_column("x", column), column))


@pytest.mark.parametrize("name", parcels().column_names)
def test_good_columns_are_silent(name: str) -> None:
    assert findings(parcels()[name]) == []


@pytest.mark.parametrize(
    ("values", "kind", "severity"),
    [
        ([math.nan] * 5, "empty_column", "warning"),
        ([7.0] * 5, "constant_column", "warning"),
        (["a"] * 5, "constant_column", "warning"),
        ([1.0, 2.0, None, None], "missing_values", "note"),
        ([1.0, 2.0, math.inf], "infinite_values", "error"),
        ([f"{value:.2f}" for value in NORMAL], "numbers_as_text", "warning"),
        ([f"id-{number}" for number in range(50)], "identifier", "note"),
        (["Nord", "nord ", "Süd", "Süd"], "spelling_variants", "warning"),
        (np.where(np.arange(400) % 50 == 0, -999.0, NORMAL), "placeholder_value", "warning"),
        (np.where(np.arange(400) % 50 == 0, 99999.0, NORMAL), "placeholder_value", "warning"),
    ],
)
def test_each_fault_is_found(values: object, kind: str, severity: str) -> None:
    [found] = findings(values)
    assert (found.kind, found.severity, found.column) == (kind, severity, "x")


def test_messages_show_the_values() -> None:
    assert "-999" in findings(np.where(np.arange(400) % 50 == 0, -999.0, NORMAL))[0].message
    assert "'Nord' and 'nord '" in findings(["Nord", "nord ", "Süd"])[0].message


@pytest.mark.parametrize(
    "values",
    [
        np.where(np.arange(400) == 0, -999.0, NORMAL),  # one value is an outlier, no code
        RANDOM.exponential(size=400) ** 3,  # heavy tail: extremes differ from each other
        RANDOM.integers(0, 2, 400).astype(float),
        [*np.zeros(400).tolist(), 1.0],
        [f"id-{number}" for number in range(49)],
    ],
)
def test_these_are_no_faults(values: object) -> None:
    assert findings(values) == []
