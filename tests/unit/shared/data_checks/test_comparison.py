"""A data set beside a reference."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shared.data_checks.comparison import comparison_findings
from shared.data_checks.finding import Finding
from tests.unit.shared.data_checks.data_sets import kinds, numbers, parcels, with_column

REFERENCE = parcels(2000, seed=1)
ROWS = parcels(500, seed=2)
RANDOM = np.random.default_rng(9)


def findings(table: pa.Table, personal: frozenset[str] = frozenset()) -> list[Finding]:
    return list(comparison_findings(table, REFERENCE, missing_increase=0.1, personal=personal))


def test_rows_of_the_same_kind_are_silent() -> None:
    for seed in range(2, 42):
        assert findings(parcels(300, seed=seed)) == []


@pytest.mark.parametrize("factor", [1000, 0.01, 60, 1 / 1.609344, -1])
def test_other_units(factor: float) -> None:
    [found] = findings(with_column(ROWS, "distance_km", numbers(ROWS, "distance_km") * factor))
    assert (found.kind, found.column) == ("unit_change", "distance_km")


def test_degrees() -> None:
    celsius = with_column(REFERENCE, "celsius", RANDOM.normal(12, 6, 2000))
    now = with_column(ROWS, "celsius", RANDOM.normal(12, 6, 500) * 1.8 + 32)
    [found] = comparison_findings(now, celsius, missing_increase=0.1)
    assert found.kind == "unit_change"
    assert "Fahrenheit" in found.message


def test_swapped_columns() -> None:
    swapped = with_column(ROWS, "distance_km", numbers(ROWS, "parcels_today"))
    swapped = with_column(swapped, "parcels_today", numbers(ROWS, "distance_km"))
    distance = numbers(parcels(500, seed=3), "weight_kg")
    both = with_column(with_column(ROWS, "weight_kg", numbers(ROWS, "distance_km")), "distance_km", distance)
    assert kinds(findings(both)) == [("swapped_columns", "distance_km"), ("swapped_columns", "weight_kg")]
    assert ("unit_change", "distance_km") not in kinds(findings(swapped))


def test_missing_more_often() -> None:
    holes = pa.array(numbers(ROWS, "distance_km"), mask=RANDOM.random(500) < 0.3)
    assert kinds(findings(with_column(ROWS, "distance_km", holes))) == [("missing_increase", "distance_km")]


def test_new_and_shifted_categories() -> None:
    renamed = np.where(np.arange(500) % 5 == 0, "next day", "economy")
    [new] = findings(with_column(ROWS, "service", renamed))
    assert new.kind == "new_category"
    assert "next day" in new.message
    [shifted] = findings(
        with_column(
            ROWS, "service", RANDOM.choice(["economy", "standard", "express"], 500, p=[0.1, 0.1, 0.8])
        )
    )
    assert shifted.kind == "distribution_change"
    assert "express" in shifted.message


def test_another_distribution() -> None:
    [found] = findings(with_column(ROWS, "distance_km", RANDOM.uniform(400, 900, 500)))
    assert (found.kind, found.column) == ("distribution_change", "distance_km")


def test_values_of_personal_columns_are_not_named() -> None:
    secret = with_column(ROWS, "service", np.full(500, "s3cret"))
    [found] = findings(secret, frozenset({"service"}))
    assert found.kind == "new_category"
    assert "s3cret" not in found.message + found.hint
    [number] = findings(with_column(ROWS, "distance_km", np.full(500, 123456.7)), frozenset({"distance_km"}))
    assert "1.2" not in number.message


def test_few_rows_and_other_columns_are_not_compared() -> None:
    assert findings(with_column(ROWS, "distance_km", numbers(ROWS, "distance_km") * 1000).slice(0, 49)) == []
    assert findings(with_column(ROWS, "more", np.arange(500))) == []
