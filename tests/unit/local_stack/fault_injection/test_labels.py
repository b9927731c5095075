"""Outcomes of injected rows."""

from __future__ import annotations

import numpy as np
import pytest

from local_stack.fault_injection.labels import outcomes
from shared.contracts.loop_spec import LoopSpec
from tests.unit.local_stack.fault_injection.reference import loop

RANDOM = np.random.default_rng(1)
OWN = np.array([1.0, 0.0, 1.0, 0.0])
SCORED = np.array([0.9, 0.2, 0.6, 0.5])


def regression() -> LoopSpec:
    whole = loop().model_dump(mode="json")
    whole["prediction"], whole["metric"] = {"kind": "value"}, {"name": "mae"}
    return LoopSpec.model_validate(whole)


def test_own_outcomes_are_kept() -> None:
    assert outcomes("own", loop(), OWN, SCORED, SCORED, RANDOM).tolist() == OWN.tolist()


def test_reversed_outcomes_are_opposite() -> None:
    assert outcomes("reversed", loop(), OWN, SCORED, SCORED, RANDOM).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert (outcomes("reversed", regression(), OWN, SCORED, SCORED, RANDOM) - OWN).tolist() == [1.5] * 4


def test_expected_outcomes_keep_the_loss() -> None:
    answered = np.repeat([0.1, 0.9], 5000)
    outcomes_drawn = outcomes("expected", loop(), answered, answered, answered, RANDOM)
    assert outcomes_drawn[:5000].mean() == pytest.approx(0.1, abs=0.02)
    assert outcomes_drawn[5000:].mean() == pytest.approx(0.9, abs=0.02)
    moved = outcomes("expected", regression(), OWN, SCORED, SCORED + 7, RANDOM)
    assert (moved - (SCORED + 7)).tolist() == pytest.approx((OWN - SCORED).tolist())


def test_unanswered_row_has_no_outcome() -> None:
    assert np.isnan(outcomes("expected", loop(), OWN, SCORED, np.full(4, np.nan), RANDOM)).all()
