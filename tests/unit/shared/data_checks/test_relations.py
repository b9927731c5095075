"""Pairs of columns: correlated ones, and features that give the outcome away."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shared.data_checks.relations import relation_findings
from tests.unit.shared.data_checks.data_sets import kinds, numbers, parcels, with_column

ROWS = parcels()
RANDOM = np.random.default_rng(5)
LATE = numbers(ROWS, "outcome")
CLASSES = RANDOM.choice(["cat", "dog", "fish"], len(ROWS))


def findings(table: pa.Table) -> list[tuple[str, str]]:
    return kinds(list(relation_findings(table, "outcome")))


def test_good_columns_are_silent() -> None:
    assert findings(ROWS) == []


def test_columns_that_say_the_same() -> None:
    miles = numbers(ROWS, "distance_km") / 1.609 + RANDOM.normal(0, 1, len(ROWS))
    assert findings(with_column(ROWS, "distance_miles", miles)) == [("correlated_columns", "distance_miles")]


def test_missing_values_correlate_with_nothing() -> None:
    holes = np.where(RANDOM.random(len(ROWS)) < 0.9, np.nan, 1.0)
    assert findings(with_column(with_column(ROWS, "a", holes), "b", holes)) == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (LATE * 3 + RANDOM.random(len(ROWS)), "a number above another for every late parcel"),
        (-LATE * 3 + RANDOM.random(len(ROWS)), "a number below it"),
        (np.where(LATE == 1, RANDOM.random(len(ROWS)), np.nan), "missing unless it was late"),
        (np.where(LATE == 1, "refund", "none"), "a category"),
    ],
)
def test_features_that_tell_two_outcomes(values: object, why: str) -> None:
    assert ("leakage", "later") in findings(with_column(ROWS, "later", values)), why


def test_features_that_tell_a_class_or_a_number() -> None:
    classes = with_column(with_column(ROWS, "outcome", CLASSES), "later", np.char.upper(CLASSES))
    assert findings(classes) == [("leakage", "later")]
    cost = RANDOM.gamma(2, 3, len(ROWS))
    assert findings(with_column(with_column(ROWS, "outcome", cost), "later", cost * 1.2)) == [
        ("leakage", "later")
    ]


@pytest.mark.parametrize(
    "values",
    [
        LATE + RANDOM.normal(0, 0.7, len(ROWS)),  # a good feature
        [f"customer {number}" for number in range(len(ROWS))],  # every category is there once
    ],
)
def test_good_features_are_no_leakage(values: object) -> None:
    assert findings(with_column(ROWS, "later", values)) == []


def test_one_frequent_outcome_is_no_leakage() -> None:
    rare = with_column(ROWS, "outcome", (np.arange(len(ROWS)) % 500 == 0).astype(float))
    assert findings(rare) == []


def test_few_rows_say_nothing() -> None:
    assert findings(with_column(ROWS, "later", LATE).slice(0, 49)) == []
