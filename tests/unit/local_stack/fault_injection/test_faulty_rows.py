"""Broken rows: what inference lets through and drift calls a fault."""

from __future__ import annotations

import numpy as np
import pytest

from local_stack.fault_injection.faulty_rows import choose_faults, faulty_rows, possible_faults
from shared.errors import CallerError
from tests.unit.local_stack.fault_injection.reference import loop, reference


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_possible_faults_of_each_feature() -> None:
    features = {feature.name: possible_faults(feature) for feature in loop().features}
    assert features == {
        "service": (),
        "distance_km": ("out_of_range", "constant"),
        "weight_kg": ("missing", "out_of_range", "constant"),
        "parcels_today": ("out_of_range", "constant"),
        "fragile": (),
        "picture": (),
    }


def test_default_faults() -> None:
    assert choose_faults(loop().features) == {
        "distance_km": "out_of_range",
        "weight_kg": "missing",
        "parcels_today": "out_of_range",
    }


def test_requested_fault_is_used_or_rejected() -> None:
    assert choose_faults(loop().features, "weight_kg", "constant") == {"weight_kg": "constant"}
    assert choose_faults(loop().features, fault="missing") == {"weight_kg": "missing"}
    with pytest.raises(CallerError, match="inference rejects") as refused:
        choose_faults(loop().features, "service")
    assert "nullable" in refused.value.hint


def test_model_without_bounds_gets_frozen_values() -> None:
    bare = [
        feature.model_copy(update={"minimum": None, "maximum": None, "nullable": False})
        for feature in loop().features
    ]
    assert choose_faults(bare) == {"distance_km": "constant"}


def test_ninety_percent_of_values_are_faulty() -> None:
    rows, features = reference(2000), loop().features
    faulty = faulty_rows(rows, features, choose_faults(features), random())
    distances = np.array(faulty.column("distance_km").to_pylist())
    assert 0.87 < (distances > 5000).mean() < 0.93
    assert faulty.column("weight_kg").null_count / 2000 > 0.87
    assert 0.87 < (np.array(faulty.column("parcels_today").to_pylist()) < 0).mean() < 0.93
    assert faulty.schema == rows.schema
    assert faulty.column("service") == rows.column("service")


def test_frozen_value_is_equal_in_every_row() -> None:
    rows = reference(500)
    faulty = faulty_rows(rows, loop().features, {"distance_km": "constant"}, random())
    assert len(set(faulty.column("distance_km").to_pylist())) == 1
