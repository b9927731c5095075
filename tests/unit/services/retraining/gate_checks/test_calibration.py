"""Calibration: probabilities that became wrong refuse, and equal ones do not."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

from services.retraining.gate_checks import calibration
from services.retraining.gate_checks.calibration import check_calibration
from services.retraining.gate_checks.comparison import Scored
from shared.contracts.gate.challenger_checks import Calibration


def true(p: Any, red: Any) -> Any:
    return p


def overconfident(p: Any, red: Any) -> Any:
    return np.where(p > 0.5, 0.97, 0.03)


def test_overconfident_challenger_is_refused(compare: Any) -> None:
    found = check_calibration(Calibration(), compare(true, overconfident))
    assert found is not None
    assert found.check is not None
    assert not found.check.passed
    assert "an increase of more than 0.05 (gate.calibration.maximum_increase) is shown" in found.check.reason
    assert len(found.numbers["challenger"]["bins"]) == 10
    assert sum(one["rows"] for one in found.numbers["champion"]["bins"]) == 4000
    assert found.numbers["champion"]["error"] < 0.03 < 0.1 < found.numbers["challenger"]["error"]


def test_equal_and_better_challengers_pass(compare: Any) -> None:
    for before, after in ((true, true), (overconfident, true)):
        found = check_calibration(Calibration(), compare(before, after))
        assert found is not None
        assert found.check is not None
        assert found.check.passed


def test_too_few_rows_and_other_kinds_have_no_check(compare: Any) -> None:
    assert check_calibration(Calibration(), compare(true, overconfident, rows=199)) is None
    value = compare(true, true, prediction={"kind": "value"}, metric={"name": "mae", "floor": None})
    assert check_calibration(Calibration(), value) is None


def test_classes_are_judged_by_their_most_probable_label() -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
    p, hit = calibration.confidences(Scored(scores, np.array([0.0, 1.0]), np.zeros(2)))
    assert p == pytest.approx([0.7, 0.6])
    assert hit.tolist() == [1.0, 0.0]


def test_formulas_match_their_examples() -> None:
    assert doctest.testmod(calibration).failed == 0
