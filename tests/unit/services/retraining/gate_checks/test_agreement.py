"""Agreement with the champion: reported, and bounded where a bound is declared."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np

from services.retraining.gate_checks import agreement
from services.retraining.gate_checks.agreement import check_agreement


def true(p: Any, red: Any) -> Any:
    return p


def test_agreement_is_reported_and_bounded(compare: Any) -> None:
    compared = compare(true, lambda p, red: np.where(red, 1 - p, p))
    free = check_agreement(None, compared)
    assert free is not None
    assert free.check is None
    assert 0.68 < free.numbers["agreement"] < 0.72
    bound = check_agreement(0.9, compared)
    assert bound is not None
    assert bound.check is not None
    assert not bound.check.passed
    assert "gate.minimum_agreement is 0.9" in bound.check.reason


def test_formulas_match_their_examples() -> None:
    assert doctest.testmod(agreement).failed == 0
