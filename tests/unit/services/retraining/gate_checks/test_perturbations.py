"""Perturbed rows: seeded, inside the specification, and only where a feature allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.retraining.gate_checks.perturbations import UNSEEN, perturbed
from shared.contracts.feature import Feature
from shared.contracts.gate.challenger_checks import Robustness

ROWS = pa.table(
    {
        "x": pa.array([None, *np.linspace(0.0, 10.0, 999)]),
        "hour": pa.array(list(range(24)) * 41 + list(range(16))),
        "color": ["red", "blue"] * 500,
        "name": ["ann", "bob"] * 500,
    }
)


def features(**changes: Any) -> list[Feature]:
    known: dict[str, dict[str, Any]] = {
        "x": {"type": "number", "nullable": True, "minimum": 0, "maximum": 10},
        "hour": {"type": "integer", "minimum": 0, "maximum": 23},
        "color": {"type": "category", "values": ["red", "blue", "green"]},
        "name": {"type": "category", "unknown": "serve"},
    }
    return [Feature.model_validate({"name": name, **known[name], **changes.get(name, {})}) for name in known]


def test_noise_has_the_measured_scale_and_keeps_bounds_and_types() -> None:
    noisy = perturbed(ROWS, features(), ROWS, Robustness(noise=0.1))["noise"]
    assert noisy.schema == ROWS.schema
    assert noisy["x"].null_count == 1
    change = np.asarray(noisy["x"].drop_null()) - np.asarray(ROWS["x"].drop_null())
    assert 0.8 < change.std() / (0.1 * np.asarray(ROWS["x"].drop_null()).std()) < 1.05
    assert pc.min_max(noisy["x"]).as_py() == {"min": 0.0, "max": 10.0}
    assert pc.min_max(noisy["hour"]).as_py() == {"min": 0, "max": 23}
    assert noisy["color"].equals(ROWS["color"])


def test_only_nullable_features_lose_values() -> None:
    missing = perturbed(ROWS, features(), ROWS, Robustness(share=0.2))["missing values"]
    assert 150 < missing["x"].null_count < 250
    assert missing["hour"].null_count == missing["color"].null_count == 0


def test_categories_are_allowed_ones_that_training_lacks() -> None:
    unseen = perturbed(ROWS, features(), ROWS, Robustness(share=0.5))["categories outside training"]
    assert set(unseen["color"].to_pylist()) == {"red", "blue", "green"}
    assert set(unseen["name"].to_pylist()) == {"ann", "bob", UNSEEN}
    known = ROWS.append_column("more", ROWS["x"]).set_column(2, "color", pa.array(["red", "green"] * 500))
    swapped = perturbed(ROWS, features(), known, Robustness())["categories outside training"]
    assert "green" not in swapped["color"].to_pylist()


def test_same_rows_give_the_same_perturbed_rows() -> None:
    one, other = (perturbed(ROWS, features(), ROWS, Robustness()) for _ in range(2))
    assert list(one) == ["noise", "missing values", "categories outside training"]
    assert all(one[name].equals(other[name]) for name in one)


def test_perturbations_without_a_feature_are_left_out() -> None:
    only = [feature for feature in features() if feature.name == "color"]
    rows = ROWS.select(["color"])
    everything = pa.table({"color": ["red", "blue", "green"]})
    assert perturbed(rows, only, everything, Robustness()) == {}
