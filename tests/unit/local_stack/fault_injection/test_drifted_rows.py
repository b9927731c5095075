"""Drifted rows: the feature has moved far, every value is still inside the declared range, and nothing else has changed."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from local_stack.fault_injection.drifted_rows import choose_feature, drifted_rows, sample_rows
from shared.contracts.feature import Feature
from tests.unit.local_stack.fault_injection.reference import loop, reference


def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    ("name", "shift", "least", "most"),
    [
        ("distance_km", None, 1.8, 2.2),
        ("distance_km", -2.0, -1.5, -0.5),  # most are cut off at 0
        ("weight_kg", None, 1.8, 2.2),
        ("parcels_today", 1.0, 0.8, 1.2),
    ],
)
def test_number_shifts_within_range(name: str, shift: float | None, least: float, most: float) -> None:
    rows, feature = reference(), loop().feature(name)
    moved = drifted_rows(rows, feature, 2000, random(), shift)
    before = rows.column(name).drop_null().to_numpy().astype(float)
    after = moved.column(name).drop_null().to_numpy().astype(float)
    assert least < (after.mean() - before.mean()) / before.std() < most
    assert after.min() >= (feature.minimum or 0)
    assert after.max() <= (feature.maximum if feature.maximum is not None else np.inf)
    assert moved.schema.field(name).type == rows.schema.field(name).type


def test_share_of_missing_values_is_kept() -> None:
    moved = drifted_rows(reference(), loop().feature("weight_kg"), 4000, random())
    assert 0.08 < moved.column("weight_kg").null_count / 4000 < 0.12


def test_shift_direction_has_more_room() -> None:
    rows, feature = reference(), loop().feature("distance_km")
    narrow = feature.model_copy(update={"minimum": -5000.0, "maximum": 500.0})
    after = drifted_rows(rows, narrow, 2000, random()).column("distance_km").to_numpy()
    assert after.mean() < rows.column("distance_km").to_numpy().mean() - 300


@pytest.mark.parametrize(("name", "rarest"), [("service", "express"), ("fragile", True)])
def test_rarest_category_becomes_most_frequent(name: str, rarest: object) -> None:
    values = drifted_rows(reference(), loop().feature(name), 2000, random()).column(name).to_pylist()
    assert 0.66 < values.count(rarest) / 2000 < 0.74
    assert set(values) <= ({"economy", "standard", "express"} if name == "service" else {True, False})


def test_all_values_of_a_tensor_shift() -> None:
    moved = drifted_rows(reference(), loop().feature("picture"), 500, random())
    assert 1.8 < np.array(moved.column("picture").to_pylist()).mean() < 2.2


def test_other_features_keep_reference_values() -> None:
    rows = reference()
    moved = drifted_rows(rows, loop().feature("distance_km"), 1000, random())
    assert set(moved.column("parcels_today").to_pylist()) <= set(rows.column("parcels_today").to_pylist())
    assert set(moved.column("outcome").to_pylist()) == {0.0, 1.0}


def test_same_seed_gives_same_rows() -> None:
    feature = loop().feature("distance_km")
    assert drifted_rows(reference(), feature, 50, random()) == drifted_rows(
        reference(), feature, 50, random()
    )
    assert sample_rows(reference(), 50, random()) != sample_rows(reference(), 50, np.random.default_rng(4))


def test_number_with_highest_weight_is_chosen() -> None:
    features = loop().features
    weights = {"service": 0.9, "distance_km": 0.1, "weight_kg": 0.3, "parcels_today": 0.2}
    assert choose_feature(features, weights).name == "weight_kg"
    only = [feature for feature in features if feature.type == "category"]
    assert choose_feature(only, weights).name == "service"


def test_timestamp_is_older_by_the_shift() -> None:
    rows, feature = reference(), Feature(name="ordered_at", type="timestamp")
    ages = np.random.default_rng(5).normal(6000, 600, rows.num_rows)
    happened = rows.column("event_time").to_pylist()
    column = [moment - timedelta(seconds=float(age)) for moment, age in zip(happened, ages, strict=True)]
    rows = rows.append_column("ordered_at", pa.array(column, pa.timestamp("us", "UTC")))
    moved = drifted_rows(rows, feature, 500, random(), 3.0)
    kept = sample_rows(rows, 500, random())
    assert moved.schema.field("ordered_at").type == rows.schema.field("ordered_at").type
    steps = np.array(kept.column("ordered_at").to_pylist()) - np.array(moved.column("ordered_at").to_pylist())
    assert {round(step.total_seconds()) for step in steps} == {round(3 * float(ages.std()))}
