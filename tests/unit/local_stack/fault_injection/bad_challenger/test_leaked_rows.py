"""Rows whose feature knows the outcome, and what the feature is live."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from local_stack.fault_injection.bad_challenger.leaked_rows import (
    LIVE_FAULTS,
    LiveFault,
    choose_leak,
    leaked_rows,
    live_rows,
)
from shared.contracts.prediction import Prediction
from shared.errors import CallerError
from tests.unit.local_stack.fault_injection.reference import loop, reference

COUNT = 2000


def floats(rows: pa.Table, name: str) -> np.ndarray:
    return np.array(rows[name].cast(pa.float64()).to_numpy())


def knowledge(rows: pa.Table, name: str) -> float:
    """Correlation of a feature's rank with the outcome."""
    values, outcome = floats(rows, name), floats(rows, "outcome")
    known = np.isfinite(values)
    ranks = values[known].argsort().argsort()
    return float(abs(np.corrcoef(ranks, outcome[known])[0, 1]))


@pytest.mark.parametrize("name", ["distance_km", "weight_kg", "parcels_today"])
def test_leak_changes_only_the_relation_to_the_outcome(name: str) -> None:
    rows = leaked_rows(reference(), loop().feature(name), loop().prediction, COUNT, np.random.default_rng(1))
    plain = live_rows(
        reference(), loop().feature(name), "leak", loop().prediction, COUNT, np.random.default_rng(1)
    )
    assert knowledge(rows, name) > 0.7 > 0.1 > knowledge(plain, name)
    np.testing.assert_array_equal(np.sort(floats(rows, name)), np.sort(floats(plain, name)))
    np.testing.assert_array_equal(np.isnan(floats(rows, name)), np.isnan(floats(plain, name)))
    others = [one for one in rows.column_names if one != name]
    assert rows.select(others).equals(plain.select(others))
    assert rows.schema == plain.schema


@pytest.mark.parametrize("fault", LIVE_FAULTS)
def test_live_values_are_within_the_declared_range(fault: LiveFault) -> None:
    feature = loop().feature("weight_kg")
    rows = live_rows(reference(), feature, fault, loop().prediction, COUNT, np.random.default_rng(1))
    values = floats(rows, "weight_kg")
    known = values[np.isfinite(values)]
    assert known.min() >= 0
    assert known.max() <= 100
    assert rows.schema == reference().schema
    assert (len(set(known)) == 1) == (fault == "frozen")
    assert (np.median(known) > 5 * np.nanmedian(floats(reference(), "weight_kg"))) == (
        fault in ("frozen", "unit")
    )
    assert (knowledge(rows, "weight_kg") > 0.7) == (fault == "none")


def test_leak_is_in_the_number_that_scores_depend_on_least() -> None:
    weights = {"distance_km": 0.2, "weight_kg": 0.1, "parcels_today": 0.3, "service": 0.0}
    assert choose_leak(loop().features, reference(), weights).name == "weight_kg"
    coarse = reference().set_column(3, "weight_kg", pa.array([1.0, 2.0] * 1500))
    assert choose_leak(loop().features, coarse, weights).name == "distance_km"
    with pytest.raises(CallerError, match="no feature is a number with at least 20 different values"):
        choose_leak([loop().feature("service")], reference(), weights)


def test_leak_knows_labels_too() -> None:
    prediction = Prediction(kind="classes", labels=("a", "b", "c"))
    labels = np.random.default_rng(2).choice(["a", "b", "c"], 3000)
    place = reference().column_names.index("outcome")
    rows = reference().set_column(place, "outcome", pa.array(labels))
    leaked = leaked_rows(rows, loop().feature("distance_km"), prediction, COUNT, np.random.default_rng(1))
    values = floats(leaked, "distance_km")
    medians = [np.median(values[np.array(leaked["outcome"].to_pylist()) == label]) for label in "abc"]
    assert medians[0] < medians[1] < medians[2]
