"""Fairness: a difference between groups above its bound refuses, unless the champion's is larger."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

from services.retraining.gate_checks import fairness
from services.retraining.gate_checks.fairness import check_fairness
from shared.contracts.gate.challenger_checks import Fairness


def true(p: Any, red: Any) -> Any:
    return p


def lower_for_red(p: Any, red: Any) -> Any:
    return np.where(red, p / 3, p)


def bound(**changes: Any) -> Fairness:
    return Fairness.model_validate({"feature": "color", "maximum_difference": 0.1, **changes})


@pytest.mark.parametrize("measure", ["loss", "rate"])
def test_difference_above_the_bound_refuses(compare: Any, measure: str) -> None:
    found = check_fairness(bound(measure=measure), compare(true, lower_for_red))
    assert found is not None
    assert found.check is not None
    assert not found.check.passed
    assert f"the {measure} of the groups of color differs by" in found.check.reason
    assert [one["name"] for one in found.numbers["groups"]] == ["blue", "red"]
    assert found.numbers["challenger"] > 0.1 > found.numbers["champion"]


def test_smaller_difference_than_the_champion_passes(compare: Any) -> None:
    found = check_fairness(bound(measure="rate"), compare(lower_for_red, true))
    assert found is not None
    assert found.check is not None
    assert found.check.passed


def test_small_groups_are_left_out(compare: Any) -> None:
    assert check_fairness(bound(minimum_rows=3000), compare(true, lower_for_red)) is None
    assert check_fairness(None, compare(true, lower_for_red)) is None


def test_formulas_match_their_examples() -> None:
    assert doctest.testmod(fairness).failed == 0
