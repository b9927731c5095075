"""`gate` in loop.yaml: keys are checked, and a manifest from before them keeps its bytes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import loop_with


@pytest.mark.parametrize(
    ("fairness", "expected"),
    [
        ({"feature": "colour"}, "gate.fairness.feature is colour, which is not a feature"),
        ({"feature": "x"}, "gate.fairness.feature is x, a number; expected a category or a boolean"),
    ],
)
def test_groups_of_fairness_exist(fairness: dict[str, Any], expected: str) -> None:
    gate = {"fairness": {"maximum_difference": 0.1, **fairness}}
    with pytest.raises(ValidationError, match=expected):
        LoopSpec.model_validate(loop_with(gate=gate))


def test_rate_needs_a_probability() -> None:
    fairness = {"feature": "color", "measure": "rate", "maximum_difference": 0.1}
    LoopSpec.model_validate(loop_with(gate={"fairness": fairness}))
    value = {"prediction": {"kind": "value"}, "metric": {"name": "mae", "floor": None}}
    with pytest.raises(
        ValidationError, match="rate, which a prediction of kind value does not have: use loss"
    ):
        LoopSpec.model_validate(loop_with(gate={"fairness": fairness}, **value))


def test_defaults_are_left_out_of_manifests() -> None:
    spec = LoopSpec.model_validate(loop_with())
    assert set(spec.model_dump(mode="json")["gate"]) == {
        *("holdout", "minimum_rows", "confidence", "minimum_gain", "maximum_latency_ratio")
    }
    changed = LoopSpec.model_validate(loop_with(gate={"slices": {"minimum_rows": 50}}))
    written = changed.model_dump(mode="json")
    assert written["gate"]["slices"]["minimum_rows"] == 50
    assert LoopSpec.model_validate(written) == changed
